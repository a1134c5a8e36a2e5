import { meansPeer, meansPort, type PolicyView, type Talk } from '#agent/network/policy/means.ts';
import type { Direction } from '#agent/network/policy/parse-policy.ts';
import type { PolicyPod } from '#agent/network/policy/policy-pod.ts';
import { tierOf, type Tier, type TierAction, type TierPolicy, type TierRule } from './tier-policy.ts';

export interface Asked {
  readonly subject: PolicyPod;
  readonly direction: Direction;
  readonly talk: Talk;
}

export interface Decision {
  readonly action: TierAction;
  readonly policy: TierPolicy;
  readonly rule: TierRule;
}

/** The first rule of a tier that means a connection of a pod; undefined: none does. Pure. */
export function decideTier(
  tier: Tier,
  { subject, direction, talk }: Asked,
  view: PolicyView,
): Decision | undefined {
  const labels = view.namespaceLabels(subject.namespace);
  const other = direction === 'in' ? talk.source : talk.target;
  const target = direction === 'in' ? subject : view.pod(other);
  for (const policy of tierOf(subject, view.tiers, { tier, direction, labels })) {
    const rule = policy.rules[direction].find(
      (each) => meansPeer(each, other, view) && meansPort(each.ports, target, talk),
    );
    if (rule !== undefined) return { action: rule.action, policy, rule };
  }
  return undefined;
}
