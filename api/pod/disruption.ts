import { withCondition } from '#api/meta/condition.ts';
import type { PodDisruptionBudgetStatus } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';

/** policy/v1 DisruptionAllowed, by what the status says: `now` is milliseconds since the epoch. */
export function withDisruptionAllowed(
  status: PodDisruptionBudgetStatus,
  now: number,
): PodDisruptionBudgetStatus {
  const isAllowed = (status.disruptionsAllowed ?? 0) > 0;
  const condition = {
    type: 'DisruptionAllowed',
    status: isAllowed ? 'True' : 'False',
    reason: isAllowed ? 'SufficientPods' : 'InsufficientPods',
    message: '',
    observedGeneration: status.observedGeneration,
    lastTransitionTime: formatTime(now),
  };
  return { ...status, conditions: withCondition(status.conditions, condition, now) };
}
