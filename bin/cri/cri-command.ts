import { Option, type Command } from 'commander';

import { defaultUlimitOption, runtimeHandlerOption } from '#bin/options/handler-option.ts';
import { dataDirDefault } from '#bin/paths.ts';
import type { AgentCommandOptions, CriCommandOptions } from '#bin/options/command-options.ts';

/** Among the options of an agent. */
export function addCriOptions(command: Command): Command {
  return command
    .option(
      '--cri-socket <path>',
      "serve the node's runtime as CRI v1 on this socket, to crictl (default: it is not served)",
    )
    .option(
      '--container-runtime-endpoint <endpoint>',
      "run pods by another runtime's CRI v1, as unix:///run/containerd/containerd.sock (default: by podwright itself)",
    )
    .option(
      '--image-service-endpoint <endpoint>',
      "where that runtime's images are asked for (default: the same)",
    );
}

const endpointForm = /^unix:\/\/\/[^\0]{1,106}$/;

/** What is wrong with them, each beginning with the option's name. Pure. */
export function criProblems({
  criSocket,
  containerRuntimeEndpoint: runtime,
  imageServiceEndpoint: images,
  runtimeHandler = [],
  defaultUlimit = [],
}: Pick<
  AgentCommandOptions,
  'criSocket' | 'containerRuntimeEndpoint' | 'imageServiceEndpoint' | 'runtimeHandler' | 'defaultUlimit'
>): readonly string[] {
  const odd = (option: string, endpoint: string | undefined): readonly string[] =>
    endpoint === undefined || endpointForm.test(endpoint)
      ? []
      : [
          `${option} ${endpoint}: write unix:// and the path of a socket, as unix:///run/containerd/containerd.sock`,
        ];
  return [
    ...odd('--container-runtime-endpoint', runtime),
    ...odd('--image-service-endpoint', images),
    ...(images !== undefined && runtime === undefined
      ? ['--image-service-endpoint: images are those of --container-runtime-endpoint, which is not given']
      : []),
    ...(criSocket !== undefined && runtime !== undefined
      ? ['--cri-socket: the runtime of --container-runtime-endpoint has a socket of its own']
      : []),
    ...(runtimeHandler.length > 0 && runtime !== undefined
      ? [
          '--runtime-handler: the runtime of --container-runtime-endpoint has handlers of its own, in its configuration',
        ]
      : []),
    ...(defaultUlimit.length > 0 && runtime !== undefined
      ? [
          '--default-ulimit: CRI has none; the runtime of --container-runtime-endpoint has limits in its configuration',
        ]
      : []),
  ];
}

/** `podwright cri`. */
export function addCriCommand(program: Command): void {
  program
    .command('cri')
    .description('run the container runtime alone, served as CRI v1 to a kubelet or crictl')
    .option('--socket <path>', 'where it is served', '/run/podwright-cri.sock')
    .option('--data <dir>', 'images and containers', `${dataDirDefault}/cri`)
    .option('--run <dir>', 'sockets and sandboxes; emptied by a reboot', '/run/podwright-cri')
    .option(
      '--cgroup <dir>',
      'cgroup v2 directory that paths of cgroup_parent are of (default: where cgroup v2 is mounted)',
    )
    .option(
      '--cni-conf-dir <dir>',
      'network configurations, the first of which is used (default: one of its own, made of --pod-cidr)',
    )
    .option('--pod-cidr <cidr>', 'addresses of pods, one or one of each family', (text) => text.split(','))
    .option('--resolv-conf <file>', "resolvers of pods without a dns_config (default: the host's)")
    .option('--egress-socket <path>', 'pull images through this proxy socket')
    .addOption(runtimeHandlerOption(''))
    .addOption(defaultUlimitOption())
    .option('--registry-config-dir <dir>', 'mirrors of registries: HOST/hosts.toml, as for containerd')
    .addOption(
      new Option('--insecure-registry <host>', 'plain http for this registry; can be repeated')
        .argParser((text: string, earlier: readonly string[]) => [...earlier, text])
        .default([]),
    )
    .action(async (options: CriCommandOptions) => (await import('./cri.ts')).runCri(options));
}
