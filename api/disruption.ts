import { withCondition } from './condition.ts';
import type { PodDisruptionBudgetStatus } from './objects.ts';
import { formatTime } from './time.ts';

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
