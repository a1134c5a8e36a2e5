import { BlockList } from 'node:net';
import type {
  LabelSelector,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  Pod,
} from '#api/generated/objects.ts';
import type { World } from './policy.fixture.ts';

/*
 * What policies mean, written down as the API's documentation says it, with nothing of what the agent uses: a second opinion. Slow.
 */

export interface Attempt {
  /** Absent: somebody outside of the cluster. */
  readonly from?: Pod;
  readonly to?: Pod;
  readonly source: string;
  readonly target: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly port: number;
}

/**
 * What comes from a node, or goes to one, is no pod's: those that have its network are nobody for selectors, and their node always reaches
 * its own pods and is reached by them, whatever address it has ("NetworkPolicy and hostNetwork pods", "The two sorts of pod isolation").
 */
export function modelAllows(world: World, policies: readonly NetworkPolicy[], attempt: Attempt): boolean {
  if (attempt.source === attempt.target) return true;
  const { from, to, ...rest } = attempt;
  if ([from, to].some(isOfNode) && from?.spec?.nodeName === to?.spec?.nodeName) return true;
  const talk: Attempt = {
    ...rest,
    ...(from === undefined || isOfNode(from) ? {} : { from }),
    ...(to === undefined || isOfNode(to) ? {} : { to }),
  };
  return (['Egress', 'Ingress'] as const).every((side) => sideVerdict(side, world, policies, talk) ?? true);
}

export const isOfNode = (pod: Pod | undefined): boolean => pod?.spec?.hostNetwork === true;

/** undefined: no policy isolates the pod. */
export function sideVerdict(
  side: 'Ingress' | 'Egress',
  world: World,
  policies: readonly NetworkPolicy[],
  attempt: Attempt,
): boolean | undefined {
  const self = side === 'Ingress' ? attempt.to : attempt.from;
  if (self === undefined) return undefined;
  const isolating = policies.filter((policy) => {
    const types = policy.spec?.policyTypes ?? [
      'Ingress',
      ...((policy.spec?.egress ?? []).length > 0 ? ['Egress'] : []),
    ];
    return (
      types.includes(side) &&
      policy.metadata?.namespace === self.metadata?.namespace &&
      selects(policy.spec?.podSelector, self.metadata?.labels ?? {})
    );
  });
  if (isolating.length === 0) return undefined;
  for (const policy of isolating) {
    const rules =
      side === 'Ingress'
        ? (policy.spec?.ingress ?? []).map((rule) => ({ peers: rule.from, ports: rule.ports }))
        : (policy.spec?.egress ?? []).map((rule) => ({ peers: rule.to, ports: rule.ports }));
    for (const { peers = [], ports = [] } of rules) {
      const peerFits =
        peers.length === 0 || peers.some((peer) => fitsPeer(peer, side, policy, { world, attempt }));
      const portFits = ports.length === 0 || ports.some((port) => fitsPort(port, attempt));
      if (peerFits && portFits) return true;
    }
  }
  return false;
}

function fitsPeer(
  peer: NetworkPolicyPeer,
  side: 'Ingress' | 'Egress',
  policy: NetworkPolicy,
  { world, attempt }: { readonly world: World; readonly attempt: Attempt },
): boolean {
  const [other, address] = side === 'Ingress' ? [attempt.from, attempt.source] : [attempt.to, attempt.target];
  if (peer.ipBlock !== undefined)
    return (
      inBlock(peer.ipBlock.cidr, address) &&
      !(peer.ipBlock.except ?? []).some((hole) => inBlock(hole, address))
    );
  if (other === undefined) return false;
  const namespace = other.metadata?.namespace ?? '';
  const namespaceFits =
    peer.namespaceSelector === undefined
      ? namespace === policy.metadata?.namespace
      : selects(peer.namespaceSelector, world.namespaces[namespace] ?? {});
  return namespaceFits && selects(peer.podSelector ?? {}, other.metadata?.labels ?? {});
}

function fitsPort({ protocol = 'TCP', port, endPort }: NetworkPolicyPort, attempt: Attempt): boolean {
  if (protocol !== attempt.protocol) return false;
  if (port === undefined) return true;
  if (typeof port === 'number') return attempt.port >= port && attempt.port <= (endPort ?? port);
  return (attempt.to?.spec?.containers ?? []).some((container) =>
    (container.ports ?? []).some(
      (own) =>
        own.name === port && (own.protocol ?? 'TCP') === protocol && own.containerPort === attempt.port,
    ),
  );
}

export function inBlock(cidr: string, address: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  const kind = (text: string): 'ipv4' | 'ipv6' => (text.includes(':') ? 'ipv6' : 'ipv4');
  if (kind(network) !== kind(address)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), kind(network));
  return list.check(address, kind(address));
}

export function selects(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  const pairs = Object.entries(selector?.matchLabels ?? {});
  if (pairs.some(([key, value]) => labels[key] !== value)) return false;
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const has = key in labels;
    const isListed = values.includes(labels[key] ?? '\0');
    if (operator === 'In') return has && isListed;
    if (operator === 'NotIn') return !has || !isListed;
    return operator === 'Exists' ? has : !has;
  });
}
