import type { LabelSelector, NetworkPolicy, Node } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { World } from '#agent/network/policy/policy.fixture.ts';
import { inBlock, selects, sideVerdict, type Attempt } from '#agent/network/policy/policy-model.fixture.ts';

/*
 * What policies of the cluster mean, written down as the API's documentation says it, with nothing of what the agent uses: a second
 * opinion. Only what is well-formed.
 */

interface PodsSelector {
  readonly namespaces?: LabelSelector;
  readonly pods?: { readonly namespaceSelector?: LabelSelector; readonly podSelector: LabelSelector };
}

export interface Peer extends PodsSelector {
  readonly nodes?: LabelSelector;
  readonly networks?: readonly string[];
}

interface PortMatch {
  readonly number?: number;
  readonly range?: { readonly start: number; readonly end: number };
}

export interface ProtocolMatch {
  readonly tcp?: { readonly destinationPort?: PortMatch };
  readonly udp?: { readonly destinationPort?: PortMatch };
  readonly sctp?: { readonly destinationPort?: PortMatch };
  readonly destinationNamedPort?: string;
}

export interface ClusterRule {
  readonly name?: string;
  readonly action: 'Accept' | 'Deny' | 'Pass';
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly protocols?: readonly ProtocolMatch[];
}

export interface ClusterNetworkPolicy extends KubeObject {
  readonly kind: 'ClusterNetworkPolicy';
  readonly spec: {
    readonly tier: 'Admin' | 'Baseline';
    readonly priority: number;
    readonly subject: PodsSelector;
    readonly ingress?: readonly ClusterRule[];
    readonly egress?: readonly ClusterRule[];
  };
}

export interface ClusterWorld extends World {
  readonly nodes: readonly Node[];
  /** Addresses of the node whose pods these are. */
  readonly own: readonly string[];
}

interface Policies {
  readonly cluster: readonly ClusterNetworkPolicy[];
  readonly namespaced: readonly NetworkPolicy[];
}

export function modelAllowsAll(world: ClusterWorld, policies: Policies, attempt: Attempt): boolean {
  if (attempt.source === attempt.target) return true;
  return sidePasses('Egress', world, policies, attempt) && sidePasses('Ingress', world, policies, attempt);
}

type Side = 'Ingress' | 'Egress';

function sidePasses(side: Side, world: ClusterWorld, policies: Policies, attempt: Attempt): boolean {
  const admin = tierSays('Admin', side, { world, policies, attempt });
  if (admin === 'Accept') return true;
  if (admin === 'Deny') return false;
  const isOwnNode = world.own.includes(attempt.target);
  const namespaced = sideVerdict(side, world, policies.namespaced, attempt);
  // NetworkPolicies say nothing of what pods and their node say to each other, but decide for pods that they select.
  if (namespaced !== undefined) return isOwnNode || namespaced;
  return tierSays('Baseline', side, { world, policies, attempt }) !== 'Deny';
}

interface Given {
  readonly world: ClusterWorld;
  readonly policies: Policies;
  readonly attempt: Attempt;
}

function tierSays(tier: 'Admin' | 'Baseline', side: Side, given: Given): ClusterRule['action'] | undefined {
  const { world, policies, attempt } = given;
  const self = side === 'Ingress' ? attempt.to : attempt.from;
  if (self === undefined) return undefined;
  const candidates = policies.cluster
    .filter(({ spec }) => spec.tier === tier && isMeant(spec.subject, self, world))
    .toSorted((a, b) => a.spec.priority - b.spec.priority);
  for (const { spec } of candidates)
    for (const rule of (side === 'Ingress' ? spec.ingress : spec.egress) ?? []) {
      const peers = (side === 'Ingress' ? rule.from : rule.to) ?? [];
      const isPeer = peers.some((peer) => fits(peer, side, given));
      if (isPeer && (rule.protocols?.some((each) => speaks(each, attempt)) ?? true)) return rule.action;
    }
  return undefined;
}

function isMeant({ namespaces, pods }: PodsSelector, pod: KubeObject, world: World): boolean {
  const { namespace = '', labels = {} } = pod.metadata ?? {};
  const own = world.namespaces[namespace] ?? {};
  if (namespaces !== undefined) return selects(namespaces, own);
  return (
    pods !== undefined && selects(pods.namespaceSelector ?? {}, own) && selects(pods.podSelector, labels)
  );
}

function fits(peer: Peer, side: Side, { world, attempt }: Given): boolean {
  const [other, address] = side === 'Ingress' ? [attempt.from, attempt.source] : [attempt.to, attempt.target];
  const { nodes, networks } = peer;
  if (networks !== undefined) return networks.some((cidr) => inBlock(cidr, address));
  if (nodes !== undefined)
    return world.nodes.some(
      ({ metadata, status }) =>
        selects(nodes, metadata?.labels ?? {}) && status?.addresses?.some((each) => each.address === address),
    );
  return other !== undefined && isMeant(peer, other, world);
}

function speaks(match: ProtocolMatch, attempt: Attempt): boolean {
  if (match.destinationNamedPort !== undefined)
    return (attempt.to?.spec?.containers ?? []).some((container) =>
      (container.ports ?? []).some(
        (own) =>
          own.name === match.destinationNamedPort &&
          (own.protocol ?? 'TCP') === attempt.protocol &&
          own.containerPort === attempt.port,
      ),
    );
  const word = attempt.protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp';
  const own = match[word];
  if (own === undefined) return false;
  const { number, range } = own.destinationPort ?? {};
  if (range !== undefined) return range.start <= attempt.port && attempt.port <= range.end;
  return number === undefined || number === attempt.port;
}
