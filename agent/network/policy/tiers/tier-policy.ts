import {
  directions,
  type Direction,
  type PodPeer,
  type PolicyRule,
} from '#agent/network/policy/parse-policy.ts';
import { isPeer } from '#agent/network/policy/peer-set.ts';
import type { PolicyPod } from '#agent/network/policy/policy-pod.ts';

/** Tiers stand around that of NetworkPolicy: `admin` is asked before it, `baseline` for pods that it does not isolate. */
export type Tier = 'admin' | 'baseline';

/** `pass`: the next tier is asked. */
export type TierAction = 'accept' | 'deny' | 'pass';

export interface TierRule extends PolicyRule {
  readonly name: string;
  readonly action: TierAction;
}

/** A policy of the whole cluster (policy.networking.k8s.io), read. */
export interface TierPolicy {
  /** `AdminNetworkPolicy`, `BaselineAdminNetworkPolicy` or `ClusterNetworkPolicy`. */
  readonly kind: string;
  readonly name: string;
  readonly tier: Tier;
  /** 0 to 1000, the lowest counts first; a BaselineAdminNetworkPolicy comes after all of its tier. */
  readonly priority: number;
  /** undefined: not to be read, so it selects nobody. */
  readonly subject: PodPeer | undefined;
  /** The first that means a connection decides. */
  readonly rules: Readonly<Record<Direction, readonly TierRule[]>>;
  /** What of it is not done as it says, and what is done instead. */
  readonly problems: readonly string[];
}

/** Labels of a node and the addresses in its status. */
export interface PolicyNode {
  readonly labels: Readonly<Record<string, string>>;
  readonly ips: readonly string[];
}

/** In the order in which they are asked: who said nothing of the order of equal priorities gets that of kinds and names. */
export function inOrder(policies: readonly TierPolicy[]): readonly TierPolicy[] {
  return policies.toSorted(
    (a, b) => a.priority - b.priority || compare(a.kind, b.kind) || compare(a.name, b.name),
  );
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The policies of a tier that have rules for a pod in a direction, in their order. `policies` are in it already. */
export function tierOf(
  pod: PolicyPod,
  policies: readonly TierPolicy[],
  {
    tier,
    direction,
    labels,
  }: {
    readonly tier: Tier;
    readonly direction: Direction;
    /** Of the pod's namespace; undefined: not known. */
    readonly labels: Readonly<Record<string, string>> | undefined;
  },
): readonly TierPolicy[] {
  return policies.filter(
    ({ tier: own, rules, subject }) =>
      own === tier && rules[direction].length > 0 && subject !== undefined && isPeer(subject, pod, labels),
  );
}

/** Whether any policy has rules for a pod. */
export function isSubject(
  pod: PolicyPod,
  policies: readonly TierPolicy[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return policies.some(
    ({ rules, subject }) =>
      subject !== undefined &&
      directions.some((direction) => rules[direction].length > 0) &&
      isPeer(subject, pod, labels),
  );
}

/** Whether a rule asks which nodes there are. */
export function asksForNodes({ rules }: TierPolicy): boolean {
  return directions.some((direction) =>
    rules[direction].some(({ peers }) => peers?.some(({ kind }) => kind === 'nodes') === true),
  );
}
