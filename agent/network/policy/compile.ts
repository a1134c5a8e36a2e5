import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import { matchesLabels } from '#api/meta/selector.ts';
import type { NftExpr, NftRule, NftSet } from '#native/nft/nft.ts';
import { bounded, rulesMax, type Draft } from './draft.ts';
import { matchesOf, noted, ofFamily, type SetElement } from './matches.ts';
import { directions, type Direction, type Policy } from './parse-policy.ts';
import { digestOf, type PeerSet } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';
import { dnsSet, isolatedSet, podsMap, selfSet, toNodeMap } from './policy-layout.ts';
import { tieredChain, type Tiers } from './tiers/compile-tiers.ts';
import { tierOf, type PolicyNode, type Tier, type TierPolicy } from './tiers/tier-policy.ts';

/** What policies come to on a node, for one family, but for which pods of the cluster are in which set. */
export interface Compiled {
  /** By name: a chain for each policy and direction, and one for each number of policies that isolate a pod together. */
  readonly chains: ReadonlyMap<string, readonly NftRule[]>;
  readonly counters: ReadonlySet<string>;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly peers: ReadonlyMap<string, PeerSet>;
  readonly elements: readonly SetElement[];
  /** Whether there are policies of the cluster: then the table looks at what pods send to the node, too. */
  readonly hasTiers: boolean;
}

/** Policies of the cluster, and what they go by. */
export interface TierInput {
  /** In the order in which they are asked. */
  readonly policies: readonly TierPolicy[];
  readonly nodes: readonly PolicyNode[];
  /** Addresses at which the node itself answers for the cluster's DNS. */
  readonly dns: readonly string[];
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
}

export const noTiers: TierInput = { policies: [], nodes: [], dns: [], namespaceLabels: () => undefined };

/**
 * Pure. `subjects`: pods of this node, with the addresses that they have been given. A policy that isolates none of them comes to
 * nothing here.
 */
export function compilePolicies(
  policies: readonly Policy[],
  subjects: readonly PolicyPod[],
  facts: FamilyFacts,
  tiers: TierInput = noTiers,
): Compiled {
  const draft: Draft = {
    facts,
    chains: new Map(),
    counters: new Set(),
    sets: new Map(),
    peers: new Map(),
    elements: [],
    subjects,
    nodes: tiers.nodes,
  };
  const byNamespace = Map.groupBy(policies, ({ namespace }) => namespace);
  for (const subject of subjects)
    isolate(subject, { policies: byNamespace.get(subject.namespace) ?? [], tiers }, draft);
  const hasTiers = tiers.policies.length > 0;
  if (hasTiers)
    for (const ip of ofFamily(tiers.dns, facts))
      draft.elements.push({ set: dnsSet(facts), element: { key: [ip] } });
  return { ...draft, hasTiers };
}

/** The policies that isolate a pod in a direction, by name. */
export function policiesOf(
  pod: PolicyPod,
  policies: readonly Policy[],
  direction: Direction,
): readonly Policy[] {
  return policies
    .filter(
      (policy) =>
        policy.namespace === pod.namespace &&
        policy.rules[direction] !== undefined &&
        matchesLabels(policy.pods, pod.labels),
    )
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

interface Rules {
  /** Those of the pod's namespace. */
  readonly policies: readonly Policy[];
  readonly tiers: TierInput;
}

function isolate(subject: PolicyPod, { policies, tiers }: Rules, draft: Draft): void {
  const { facts, elements } = draft;
  const ips = ofFamily(subject.ips, facts);
  const lead = (map: NftSet, chain: string): void => {
    for (const ip of ips) elements.push({ set: map, element: { key: [ip], data: { kind: 'goto', chain } } });
  };
  let isConcerned = false;
  for (const direction of directions) {
    const own = policiesOf(subject, policies, direction);
    const asked = tiersOf(subject, { direction, isIsolated: own.length > 0, tiers });
    const isolation = own.length === 0 ? undefined : groupChain(own, direction, draft);
    const chain = tieredChain({ ...asked, isolation }, direction, draft);
    if (chain === undefined) continue;
    isConcerned = true;
    lead(podsMap(direction, facts), chain);
    // What pods and their node say to each other is always allowed by a NetworkPolicy.
    const toNode =
      direction === 'in' ? undefined : tieredChain({ ...asked, isolation: undefined }, direction, draft);
    if (toNode !== undefined) lead(toNodeMap(facts), toNode);
  }
  if (!isConcerned) return;
  for (const ip of ips) {
    elements.push({ set: isolatedSet(facts), element: { key: [ip] } });
    elements.push({ set: selfSet(facts), element: { key: [ip, ip] } });
  }
}

/** A pod that a NetworkPolicy isolates is not asked about in the last tier. */
function tiersOf(
  subject: PolicyPod,
  {
    direction,
    isIsolated,
    tiers,
  }: { readonly direction: Direction; readonly isIsolated: boolean; readonly tiers: TierInput },
): Pick<Tiers, 'admin' | 'baseline'> {
  const labels = tiers.namespaceLabels(subject.namespace);
  const of = (tier: Tier): readonly TierPolicy[] =>
    tierOf(subject, tiers.policies, { tier, direction, labels });
  return { admin: of('admin'), baseline: isIsolated ? [] : of('baseline') };
}

/** Expressions of a rule are at most 128 (NFT_RULE_MAXEXPRS of the kernel's nf_tables_api.c). */
const countersPerRule = 100;

/** The chain of pods that these policies isolate together: what none of them allows is counted on each, and dropped. */
function groupChain(policies: readonly Policy[], direction: Direction, draft: Draft): string {
  const names = policies.map(({ name }) => name);
  const name = `isolate-${direction}/${policies[0]?.namespace}/${digestOf(names.join(','))}`;
  if (draft.chains.has(name)) return name;
  const jumps = policies.flatMap((policy): readonly NftRule[] => {
    const chain = policyChain(policy, direction, draft);
    return chain === undefined ? [] : [{ exprs: [{ expr: 'verdict', verdict: { kind: 'jump', chain } }] }];
  });
  const counters = policies.map((policy) => counterOf('dropped', direction, policy));
  for (const counter of counters) draft.counters.add(counter);
  const counts: NftRule[] = [];
  for (let at = 0; at < counters.length; at += countersPerRule) {
    const some = counters.slice(at, at + countersPerRule);
    counts.push({ exprs: some.map((counter): NftExpr => ({ expr: 'counter', name: counter })) });
  }
  draft.chains.set(name, [...jumps, ...counts, { exprs: [{ expr: 'verdict', verdict: { kind: 'drop' } }] }]);
  return name;
}

export type Fate = 'allowed' | 'dropped';

export function counterOf(fate: Fate, direction: Direction, { namespace, name }: Policy): string {
  return bounded(`${fate}-${direction}/${namespace}/${name}`);
}

/** undefined: it allows nothing. */
function policyChain(policy: Policy, direction: Direction, draft: Draft): string | undefined {
  const name = bounded(`${direction}/${policy.namespace}/${policy.name}`);
  if (draft.chains.has(name)) return name;
  const counter = counterOf('allowed', direction, policy);
  const rules = (policy.rules[direction] ?? []).flatMap((rule) => matchesOf(rule, direction, draft));
  if (rules.length === 0) return undefined;
  draft.counters.add(counter);
  const verdict: readonly NftExpr[] = [
    { expr: 'counter', name: counter },
    { expr: 'verdict', verdict: { kind: 'accept' } },
  ];
  draft.chains.set(
    name,
    rules.slice(0, rulesMax).map((match) => noted(match, verdict)),
  );
  return name;
}
