import { bounded, rulesMax, type Draft } from '#agent/network/policy/draft.ts';
import { matchesOf, noted } from '#agent/network/policy/matches.ts';
import type { Direction } from '#agent/network/policy/parse-policy.ts';
import { digestOf } from '#agent/network/policy/peer-set.ts';
import type { NftExpr, NftRule } from '#native/nft/nft.ts';
import { unreachable } from '#base/unreachable.ts';
import type { Tier, TierPolicy, TierRule } from './tier-policy.ts';

/** What a pod is subject to in a direction, in the order in which it is asked. */
export interface Tiers {
  readonly admin: readonly TierPolicy[];
  /** The chain of the NetworkPolicies that isolate the pod, which decide; undefined: none does. */
  readonly isolation: string | undefined;
  /** Asked where no NetworkPolicy isolates the pod. */
  readonly baseline: readonly TierPolicy[];
}

/** The chain of pods that have the same tiers; what none of them decides is accepted. undefined: there is nothing to ask. */
export function tieredChain(tiers: Tiers, direction: Direction, draft: Draft): string | undefined {
  const { admin, isolation, baseline } = tiers;
  if (admin.length === 0 && baseline.length === 0) return isolation;
  const jumps = [
    tierChain('admin', admin, { direction, draft }),
    tierChain('baseline', baseline, { direction, draft }),
  ]
    .filter((chain) => chain !== undefined)
    .map((chain): NftRule => ({ exprs: [{ expr: 'verdict', verdict: { kind: 'jump', chain } }] }));
  const decided: readonly NftRule[] =
    isolation === undefined
      ? []
      : [{ exprs: [{ expr: 'verdict', verdict: { kind: 'goto', chain: isolation } }] }];
  const rules = [...jumps, ...decided];
  const name = `tiers-${direction}/${digestOf(JSON.stringify(rules))}`;
  draft.chains.set(name, rules);
  return name;
}

/**
 * All rules of the policies after each other, as the first that means a connection decides; one that passes ends the tier by going back
 * to who asked it.
 */
function tierChain(
  tier: Tier,
  policies: readonly TierPolicy[],
  { direction, draft }: { readonly direction: Direction; readonly draft: Draft },
): string | undefined {
  if (policies.length === 0) return undefined;
  const name = `${tier}-${direction}/${digestOf(policies.map(({ kind, name: own }) => `${kind}/${own}`).join(','))}`;
  if (draft.chains.has(name)) return name;
  draft.chains.set(
    name,
    policies.flatMap((policy) => rulesOf(policy, direction, draft)),
  );
  return name;
}

/** What is more than the kernel should walk through denies everything: to leave out what denies would open. */
function rulesOf(policy: TierPolicy, direction: Direction, draft: Draft): readonly NftRule[] {
  const all = policy.rules[direction].flatMap((rule) =>
    matchesOf(rule, direction, draft).map((match) =>
      noted(match, verdictOf(rule, { policy, direction, draft })),
    ),
  );
  if (all.length <= rulesMax) return all;
  const deny: TierRule = { name: '', action: 'deny', peers: undefined, ports: undefined };
  return [...all.slice(0, rulesMax), { exprs: verdictOf(deny, { policy, direction, draft }) }];
}

function verdictOf(
  { action }: TierRule,
  {
    policy,
    direction,
    draft,
  }: { readonly policy: TierPolicy; readonly direction: Direction; readonly draft: Draft },
): readonly NftExpr[] {
  const counted = (fate: TierFate): NftExpr => {
    const name = tierCounterOf(fate, direction, policy);
    draft.counters.add(name);
    return { expr: 'counter', name };
  };
  switch (action) {
    case 'accept':
      return [counted('accepted'), { expr: 'verdict', verdict: { kind: 'accept' } }];
    case 'deny':
      return [counted('denied'), { expr: 'verdict', verdict: { kind: 'drop' } }];
    case 'pass':
      return [{ expr: 'verdict', verdict: { kind: 'return' } }];
    default:
      return unreachable(action);
  }
}

export type TierFate = 'accepted' | 'denied';

export function tierCounterOf(fate: TierFate, direction: Direction, { kind, name }: TierPolicy): string {
  return bounded(`${fate}-${direction}/${kind}/${name}`);
}
