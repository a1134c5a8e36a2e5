import type { Condition, DeviceTaintRule } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';

/** The status is written no more often than this while pods go. */
export const ruleStatusMs = 10_000;

/** What a rule comes to. */
export interface RuleFacts {
  /** Devices that drivers tell of, and those that claims were given. */
  readonly published: number;
  readonly allocated: number;
  /** Pods that have to go for it, or would, were its effect NoExecute; in so many namespaces. */
  readonly pods: number;
  readonly namespaces: number;
  /** Since this controller was started. */
  readonly evicted: number;
}

export function conditionOf({ status }: DeviceTaintRule): Condition | undefined {
  return status?.conditions?.find(({ type }) => type === 'EvictionInProgress');
}

/** Milliseconds until the condition of a rule may be written again; 0 for one that says nothing of what the rule is now. */
export function restOf(rule: DeviceTaintRule, nowMs: number): number {
  const known = conditionOf(rule);
  if (known === undefined || known.observedGeneration !== rule.metadata?.generation) return 0;
  return Math.max(0, Date.parse(known.lastTransitionTime) + ruleStatusMs - nowMs);
}

/**
 * The rule with its condition, by the words of kube-controller-manager 1.36; undefined: it says so already. Pure. Its time is that of the last
 * change of any part of it, as it is there.
 */
export function planRuleStatus(
  rule: DeviceTaintRule,
  facts: RuleFacts,
  nowMs: number,
): DeviceTaintRule | undefined {
  const { generation } = rule.metadata ?? {};
  const known = conditionOf(rule);
  const { isGoing, reason, message } = verdictOf(rule, facts);
  const evicted =
    facts.evicted === 0 ? '' : `${count(facts.evicted, 'pod')} evicted since starting the controller.`;
  const condition = {
    type: 'EvictionInProgress',
    status: isGoing ? 'True' : 'False',
    reason,
    message: [message, evicted].filter((text) => text !== '').join(' '),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  } as const;
  const isSaid = (['status', 'reason', 'message', 'observedGeneration'] as const).every(
    (name) => known?.[name] === (condition as Partial<Condition>)[name],
  );
  if (known !== undefined && isSaid) return undefined;
  const others = (rule.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
  const written = { ...condition, lastTransitionTime: formatTime(nowMs) };
  return { ...rule, status: { ...rule.status, conditions: [...others, written] } };
}

interface Verdict {
  readonly isGoing: boolean;
  readonly reason: string;
  readonly message: string;
}

function verdictOf({ spec }: DeviceTaintRule, facts: RuleFacts): Verdict {
  const { pods, published, allocated, evicted } = facts;
  const where = facts.namespaces === 1 ? '1 namespace' : `${facts.namespaces} different namespaces`;
  const still = (reason: string, message = ''): Verdict => ({ isGoing: false, reason, message });
  switch (spec.taint.effect) {
    case 'NoExecute': {
      if (pods === 0) return still(evicted > 0 ? 'Completed' : 'NotStarted');
      const need = pods === 1 ? 'needs' : 'need';
      const message = `${count(pods, 'pod')} ${need} to be evicted in ${where}.`;
      return { isGoing: true, reason: 'PodsPendingEviction', message };
    }
    case 'None':
      return still(
        'NoEffect',
        `${count(published, 'published device')} selected. ${count(allocated, 'allocated device')} selected. ` +
          `${count(pods, 'pod')} would be evicted in ${where} if the effect was NoExecute. ` +
          'This information will not be updated again. Recreate the DeviceTaintRule to trigger an update.',
      );
    default:
      return still('OtherEffect', 'Eviction only happens for the NoExecute effect.');
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
