/** What a trace is decided by: what the API has, and what nodes see. */
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import type { NetworkFacts, TransportProtocol } from '#agent/network/facts/network-facts.ts';
import type { TierPolicy } from '#agent/network/policy/tiers/tier-policy.ts';
import type { EndpointSlice, Namespace, NetworkPolicy, Node, Pod, Service } from '#api/generated/objects.ts';

export interface Observed {
  readonly pods: readonly Pod[];
  readonly services: readonly Service[];
  readonly endpointSlices: readonly EndpointSlice[];
  readonly nodes: readonly Node[];
  readonly namespaces: readonly Namespace[];
  readonly networkPolicies: readonly NetworkPolicy[];
  /** Policies of the cluster, in the order in which they are asked. */
  readonly tiers: readonly TierPolicy[];
  /** By name; of the nodes that the packet may pass. */
  readonly facts: ReadonlyMap<string, NetworkFacts | Silence>;
}

/** Why a node could not be asked. */
export interface Silence {
  readonly problem: string;
}

/** Who sends. */
export type Sender =
  | { readonly kind: 'pod'; readonly pod: Pod }
  | { readonly kind: 'node'; readonly node: Node }
  | { readonly kind: 'outside'; readonly address: string | undefined };

export interface Question {
  readonly from: Sender;
  /** A name of the cluster, an address, or `KIND/NAME`; without the port. */
  readonly to: string;
  /** Number or name; undefined: the first one that there is. */
  readonly port: string | undefined;
  readonly protocol: TransportProtocol;
  /** Of names without one. */
  readonly namespace: string;
}

/** A first packet, as policies see it: after translation. */
export interface Talk {
  readonly source: string | undefined;
  readonly target: string;
  readonly port: number;
  readonly protocol: TransportProtocol;
}

export type Code =
  | 'affinity-to-dead-endpoint'
  | 'conntrack-full'
  | 'conntrack-nearly-full'
  | 'dns-forbidden'
  | 'dns-not-of-cluster'
  | 'egress-forbidden'
  | 'endpoint-of-no-pod'
  | 'external-name'
  | 'fabric-mismatch'
  | 'family-mismatch'
  | 'forwarding-missing'
  | 'headless-port'
  | 'headless-without-addresses'
  | 'host-port-conflict'
  | 'ingress-forbidden'
  | 'link-down'
  | 'listens-on-loopback'
  | 'listens-on-other-family'
  | 'listens-on-other-protocol'
  | 'load-balancer-pending'
  | 'mtu-too-large'
  | 'name-in-other-namespace'
  | 'name-unknown'
  | 'neighbour-missing'
  | 'named-port-missing'
  | 'no-endpoints-written'
  | 'no-local-endpoint'
  | 'no-local-endpoint-everywhere'
  | 'node-not-ready'
  | 'node-silent'
  | 'not-a-node-port'
  | 'not-forwarding'
  | 'nothing-listens'
  | 'other-proxy'
  | 'outside-cluster'
  | 'peer-missing'
  | 'pod-not-ready'
  | 'pod-not-running'
  | 'policy-sees-node'
  | 'publishes-not-ready'
  | 'readiness-failing'
  | 'route-elsewhere'
  | 'route-missing'
  | 'rules-behind'
  | 'rules-removed'
  | 'search-list-lacks'
  | 'selector-matches-nothing'
  | 'sender-not-running'
  | 'service-lacks-port'
  | 'service-other-protocol'
  | 'source-not-in-ranges'
  | 'terminating-only'
  | 'tunnel-closed'
  | 'without-way-out';

/** What is wrong, or may be. */
export interface Finding {
  readonly code: Code;
  /** Whether it keeps the packet from arriving. */
  readonly stops: boolean;
  readonly says: string;
  readonly remedy: string;
}

/** A place that the packet passes. */
export interface Hop {
  readonly at: string;
  readonly says: string;
  readonly findings: readonly Finding[];
}

/** From the choice of an endpoint on. */
export interface Way {
  readonly to: string;
  readonly hops: readonly Hop[];
  readonly arrives: boolean;
}

export interface Trace {
  readonly from: string;
  readonly to: string;
  /** What all ways have in common, in the order of the packet. */
  readonly hops: readonly Hop[];
  readonly ways: readonly Way[];
  /** `some`: by some of its ways. */
  readonly arrives: 'yes' | 'some' | 'no';
}

/** Something that keeps the packet from arriving. */
export function stop(code: Code, says: string, remedy: string): Finding {
  return { code, stops: true, says, remedy };
}

/** Something that one should know. */
export function warn(code: Code, says: string, remedy: string): Finding {
  return { code, stops: false, says, remedy };
}

export function hop(at: string, says: string, ...findings: readonly (Finding | undefined)[]): Hop {
  return { at, says, findings: findings.filter((finding) => finding !== undefined) };
}

export function isStopped(hops: readonly Hop[]): boolean {
  return hops.some(({ findings }) => findings.some(({ stops }) => stops));
}

export function factsOf(seen: Observed, nodeName: string | undefined): NetworkFacts | undefined {
  const facts = seen.facts.get(nodeName ?? '');
  return facts === undefined || 'problem' in facts ? undefined : facts;
}

/** `NAMESPACE/NAME`, or `NAME`. */
export function nameOf(object: KubeObject): string {
  return objectKey(object);
}
