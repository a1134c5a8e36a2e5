import { addCriOptions } from '#bin/cri/cri-command.ts';
import { Option, type Command } from 'commander';
import { plainFabricText } from '#agent/network/fabric/settings.ts';
import { addKubeletAccessOptions } from '#bin/authorization/kubelet-access.ts';
import { addKubeletConfigOptions } from '#bin/kubelet/add-options.ts';
import { collect, collectAll, integer } from './argument.ts';
import { cloudProviderOption } from './cloud-provider-option.ts';
import { fabricOption } from './fabric-option.ts';
import { defaultUlimitOption, runtimeHandlerOption } from './handler-option.ts';
import { addClusterNetworkOptions, fastPathOption, proxyModeOption } from './network-options.ts';

/** What an agent is told. */
export function agentOptions(command: Command): Command {
  return agentHostOptions(command)
    .requiredOption('--data <dir>', 'images, containers, logs')
    .option('--node-name <name>', 'name of the Node object (default: the one in the credentials)')
    .requiredOption(
      '--node-ip <ip>',
      'address of this host towards the other nodes; one, or one of each family (IPv4,IPv6)',
      collectAll,
    )
    .requiredOption(
      '--credentials <dir>',
      "the node's kubeconfig and serving certificate, as the server's --node or podwright join wrote them",
    )
    .option(
      '--rotate-certificates',
      'ask the cluster for certificates anew before they end, as a node that joined does',
    );
}

/** What an agent is told of its host, whatever way it comes to its cluster. */
export function agentHostOptions(command: Command): Command {
  return addKubeletConfigOptions(addCriOptions(addKubeletAccessOptions(agentNetworkOptions(command))))
    .option('--run <dir>', 'sockets and sandboxes; emptied by a reboot', '/run/podwright')
    .option('--cgroup <dir>', "cgroup v2 directory for the node's pods (default: podwright below the mount)")
    .option(
      '--pod-logs-dir <dir>',
      'logs of pods, with links beside it in containers/ (default: DIR/logs/pods; of an installed agent /var/log/pods)',
    )
    .option(
      '--plugins-dir <dir>',
      'sockets of plugins: device-plugins, plugins_registry, pod-resources (default: DIR/kubelet; drivers look in /var/lib/kubelet)',
    )
    .addOption(cloudProviderOption('podwright cloud-controller, or another, initializes the node'))
    .option('--egress-socket <path>', 'pull images through this proxy socket')
    .option('--max-pods <n>', 'pods that the node takes', integer(1, 65_536), 110)
    .option(
      '--subordinate-ids <first:count>',
      'ids of this host for user namespaces of pods (default: those of user kubelet in /etc/subuid and /etc/subgid, or 65536 for each pod from 65536 on)',
    )
    .addOption(runtimeHandlerOption(''))
    .addOption(defaultUlimitOption())
    .option('--insecure-registry <host>', 'plain http for this registry; can be repeated', collect, [])
    .option(
      '--image-credential-provider-config <file>',
      'CredentialProviderConfig: programs that give credentials of images',
    )
    .option('--image-credential-provider-bin-dir <dir>', 'where those programs are')
    .option(
      '--registry-config-dir <dir>',
      'mirrors of registries: HOST/hosts.toml or _default/hosts.toml, as for containerd (default: each registry is asked itself)',
    )
    .addOption(
      new Option('--container-log-max-size <quantity>', "a container's log is rotated when it has this size")
        .env('PODWRIGHT_CONTAINER_LOG_MAX_SIZE')
        .default('10Mi'),
    )
    .addOption(
      new Option('--container-log-max-files <n>', "files of a container's log, with the one being written")
        .env('PODWRIGHT_CONTAINER_LOG_MAX_FILES')
        .argParser(integer(2, 1000))
        .default(5),
    )
    .addOption(
      new Option(
        '--image-gc-high-threshold <percent>',
        'unused images go from so much of the disk in use; 100: never',
      )
        .env('PODWRIGHT_IMAGE_GC_HIGH_THRESHOLD')
        .argParser(integer(0, 100))
        .default(85),
    )
    .addOption(
      new Option('--image-gc-low-threshold <percent>', 'and until no more than this is')
        .env('PODWRIGHT_IMAGE_GC_LOW_THRESHOLD')
        .argParser(integer(0, 100))
        .default(80),
    )
    .addOption(
      new Option('--minimum-image-ttl-duration <duration>', 'no image goes that is younger')
        .env('PODWRIGHT_MINIMUM_IMAGE_TTL_DURATION')
        .default('2m'),
    )
    .addOption(
      new Option('--image-maximum-gc-age <duration>', 'an image goes that is unused for longer; 0: none does')
        .env('PODWRIGHT_IMAGE_MAXIMUM_GC_AGE')
        .default('0s'),
    );
}

function agentNetworkOptions(command: Command): Command {
  return addClusterNetworkOptions(command)
    .option('--cluster-domain <name>', 'DNS domain of the cluster', 'cluster.local')
    .addOption(proxyModeOption().default('nftables'))
    .addOption(fastPathOption().default('off'))
    .option(
      '--link-cidr <cidr>',
      "network of the nodes' link, one or one of each family, for pods that reach the server's machine there without --pod-egress masquerade",
      collectAll,
    )
    .addOption(
      fabricOption(
        "how this node's pods are reached, unless the ConfigMap kube-system/podwright-fabric says it",
      ).default(plainFabricText),
    )
    .addOption(
      new Option(
        '--pod-egress <how>',
        "how pods reach what is outside: with the node's address, with their own, or not at all, names neither",
      )
        .choices(['masquerade', 'routed', 'none'])
        .default('masquerade'),
    )
    .option(
      '--resolv-conf <file>',
      "resolvers for names outside, and for pods with dnsPolicy Default (default: the host's /etc/resolv.conf, or what systemd-resolved asks)",
    );
}
