import { matchesLabels } from '#api/meta/selector.ts';
import { parseIp } from '#base/ip.ts';
import { blockContains } from './address-ranges.ts';
import type { Policy, PolicyPort, PolicyRule, Protocol } from './parse-policy.ts';
import { isPeer } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';
import type { PolicyNode, TierPolicy } from './tiers/tier-policy.ts';

/** What a verdict goes by. */
export interface PolicyView {
  /** Those of a namespace. */
  readonly policies: (namespace: string) => readonly Policy[];
  /** The pod of this node that has an address. */
  readonly subject: (ip: string) => PolicyPod | undefined;
  /** The pod of the cluster that has it. */
  readonly pod: (ip: string) => PolicyPod | undefined;
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
  /** Those of the cluster, in the order in which they are asked. */
  readonly tiers: readonly TierPolicy[];
  /** Nodes of the cluster, where a policy asks for them. */
  readonly nodes: readonly PolicyNode[];
  /** Addresses at which the node itself answers for the cluster's DNS. */
  readonly dns: readonly string[];
}

/** Who began to speak to whom. */
export interface Talk {
  readonly source: string;
  readonly target: string;
  /** IP protocol number. */
  readonly protocol: number;
  readonly port: number | undefined;
}

const protocolNames: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** Whether a rule is about the other end. */
export function meansPeer({ peers }: PolicyRule, other: string, view: PolicyView): boolean {
  if (peers === undefined) return true;
  const ip = parseIp(other);
  const pod = view.pod(other);
  return peers.some((peer) => {
    if (peer.kind === 'block') return ip !== undefined && blockContains(peer, ip);
    if (peer.kind === 'nodes')
      return view.nodes.some(({ labels, ips }) => ips.includes(other) && matchesLabels(peer.nodes, labels));
    return pod !== undefined && isPeer(peer, pod, view.namespaceLabels(pod.namespace));
  });
}

/** Whether it is about what is sent there. */
export function meansPort(
  ports: readonly PolicyPort[] | undefined,
  target: PolicyPod | undefined,
  { protocol, port }: Talk,
): boolean {
  if (ports === undefined) return true;
  const word = protocolNames[protocol];
  return ports.some((each) => {
    if (each.protocol !== word || port === undefined) return false;
    if (each.kind === 'numbers') return each.from <= port && port <= each.to;
    return (target?.ports ?? []).some(
      ({ name, protocol: own, port: number }) => name === each.name && own === word && number === port,
    );
  });
}
