/** Options of `server` and `agent` that name addresses and networks: one of each, or one of each family with a comma between. */
import { Option, type Command } from 'commander';
import { fastPaths } from '#agent/network/fast-path/choice.ts';
import { proxyModes } from '#agent/proxy/service-rules.ts';
import { familyOfNetwork } from '#base/ip.ts';
import {
  nodePrefixDefaults,
  type NodePrefixLengths,
} from '#control-plane/controllers/node-ipam/node-ranges.ts';

/** Prefixes of nodes' parts. */
export interface NodePrefixOptions {
  /** Of a cluster of one family. */
  readonly nodeCidrMaskSize?: number;
  readonly nodeCidrMaskSizeIpv4?: number;
  readonly nodeCidrMaskSizeIpv6?: number;
}

/** Pure. */
export function nodePrefixLengthsOf(
  options: NodePrefixOptions & { readonly clusterCidr: readonly string[] },
): NodePrefixLengths {
  const { nodeCidrMaskSize, nodeCidrMaskSizeIpv4, nodeCidrMaskSizeIpv6, clusterCidr } = options;
  const only = clusterCidr.length === 1 ? familyOfNetwork(clusterCidr[0] ?? '') : undefined;
  return {
    4: nodeCidrMaskSizeIpv4 ?? (only === 4 ? nodeCidrMaskSize : undefined) ?? nodePrefixDefaults[4],
    6: nodeCidrMaskSizeIpv6 ?? (only === 6 ? nodeCidrMaskSize : undefined) ?? nodePrefixDefaults[6],
  };
}

const each = 'one, or one of each family (IPv4,IPv6)';

/** Without a default, which `byDefault` says in words. */
export function loadBalancerCidrOption(byDefault: string): Option {
  return new Option(
    '--load-balancer-cidr <cidr>',
    `addresses that Services of type LoadBalancer get; ${each} (default: ${byDefault})`,
  ).argParser((text: string, earlier: readonly string[] = []) => [...earlier, ...text.split(',')]);
}

export function proxyModeOption(): Option {
  return new Option(
    '--proxy-mode <mode>',
    "how packets to Services find their backends: by rules of nftables, by kube-proxy's of iptables, or through the agent itself, in turn",
  ).choices(proxyModes);
}

export function fastPathOption(): Option {
  return new Option(
    '--fast-path <what>',
    'what programs in the kernel do beside rules: lead connections and datagrams of pods to Services when a socket connects or sends, take packets between pods past the network stack of the node, both or nothing',
  ).choices(fastPaths);
}

/** What server and agent must agree on. */
export function addClusterNetworkOptions(command: Command): Command {
  const withPool = command.addOption(loadBalancerCidrOption('none, somebody else gives them'));
  return addList(
    addList(
      addList(withPool, '--service-cidr <cidr>', `addresses of Services; ${each}`, ['10.96.0.0/16']),
      '--cluster-cidr <cidr>',
      `addresses of pods, of which each node gets a part; ${each}`,
      ['10.244.0.0/16'],
    ),
    '--cluster-dns <ip>',
    `address of the kube-dns Service; ${each}`,
    ['10.96.0.10'],
  );
}

/** @param integer reads a whole number between two others */
export function addNodePrefixOptions(
  command: Command,
  integer: (minimum: number, maximum: number) => (text: string) => number,
): Command {
  return command
    .option(
      '--node-cidr-mask-size <bits>',
      "prefix of each node's part, in a cluster of one family (default: 24 or 64)",
      integer(8, 126),
    )
    .option('--node-cidr-mask-size-ipv4 <bits>', 'the same of its IPv4 part (default: 24)', integer(8, 30))
    .option('--node-cidr-mask-size-ipv6 <bits>', 'the same of its IPv6 part (default: 64)', integer(8, 126));
}

/** With commas between, or the flag again; what is given takes the default's place. */
function addList(command: Command, flag: string, description: string, byDefault: readonly string[]): Command {
  const read = (text: string, earlier: readonly string[]): readonly string[] =>
    earlier === byDefault ? text.split(',') : [...earlier, ...text.split(',')];
  return command.option(flag, description, read, byDefault);
}
