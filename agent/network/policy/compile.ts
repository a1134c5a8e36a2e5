import type { FamilyFacts } from '#agent/proxy/table-layout.ts';
import { matchesLabels } from '#api/meta/selector.ts';
import { familyOfIp } from '#base/ip.ts';
import type { NftExpr, NftRule, NftSet } from '#native/nft/nft.ts';
import { commentMax, matchesOf, type MatchDraft, type SetElement } from './matches.ts';
import { directions, type Direction, type Policy } from './parse-policy.ts';
import { digestOf, type PeerSet } from './peer-set.ts';
import type { PolicyPod } from './policy-pod.ts';
import { isolatedSet, podsMap, selfSet } from './policy-layout.ts';

/** What policies come to on a node, for one family, but for which pods of the cluster are in which set. */
export interface Compiled {
  /** By name: a chain for each policy and direction, and one for each number of policies that isolate a pod together. */
  readonly chains: ReadonlyMap<string, readonly NftRule[]>;
  readonly counters: ReadonlySet<string>;
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly peers: ReadonlyMap<string, PeerSet>;
  readonly elements: readonly SetElement[];
}

/** Rules of the kernel that a policy is in one direction; each is looked at in its turn. What is more allows nothing. */
export const rulesMax = 2_000;

interface Draft extends MatchDraft {
  readonly chains: Map<string, readonly NftRule[]>;
  readonly counters: Set<string>;
}

/**
 * Pure. `subjects`: pods of this node, with the addresses that they have been given. A policy that isolates none of them comes to
 * nothing here.
 */
export function compilePolicies(
  policies: readonly Policy[],
  subjects: readonly PolicyPod[],
  facts: FamilyFacts,
): Compiled {
  const draft: Draft = {
    facts,
    chains: new Map(),
    counters: new Set(),
    sets: new Map(),
    peers: new Map(),
    elements: [],
    subjects,
  };
  const byNamespace = Map.groupBy(policies, ({ namespace }) => namespace);
  for (const subject of subjects) isolate(subject, byNamespace.get(subject.namespace) ?? [], draft);
  return draft;
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

function isolate(subject: PolicyPod, policies: readonly Policy[], draft: Draft): void {
  const { facts, elements } = draft;
  const ips = subject.ips.filter((ip) => familyOfIp(ip) === (facts.family === 'ip' ? 4 : 6));
  let isIsolated = false;
  for (const direction of directions) {
    const own = policiesOf(subject, policies, direction);
    if (own.length === 0) continue;
    isIsolated = true;
    const chain = groupChain(own, direction, draft);
    for (const ip of ips)
      elements.push({
        set: podsMap(direction, facts),
        element: { key: [ip], data: { kind: 'goto', chain } },
      });
  }
  if (!isIsolated) return;
  for (const ip of ips) {
    elements.push({ set: isolatedSet(facts), element: { key: [ip] } });
    elements.push({ set: selfSet(facts), element: { key: [ip, ip] } });
  }
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

/** Names of the kernel's chains and counters have at most 255 bytes. */
const nameBytesMax = 255;

export type Fate = 'allowed' | 'dropped';

export function counterOf(fate: Fate, direction: Direction, { namespace, name }: Policy): string {
  return bounded(`${fate}-${direction}/${namespace}/${name}`);
}

/** What it cuts ends in a digest of the whole. */
function bounded(text: string): string {
  return text.length <= nameBytesMax ? text : `${text.slice(0, nameBytesMax - 13)}-${digestOf(text)}`;
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
    rules.slice(0, rulesMax).map(({ exprs, comment }) => ({
      exprs: [...exprs, ...verdict],
      ...(comment !== '' && { comment: comment.slice(0, commentMax) }),
    })),
  );
  return name;
}
