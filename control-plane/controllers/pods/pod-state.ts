import { findCondition } from '#api/meta/condition.ts';
import type { Pod } from '#api/generated/objects.ts';

/** Since when the pod is ready, in milliseconds since the epoch; undefined when it is not. */
export function readySinceMs(pod: Pod): number | undefined {
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return undefined;
  return ready.lastTransitionTime === undefined ? 0 : Date.parse(ready.lastTransitionTime);
}

/** When the next of the ready pods becomes available, from now; undefined when none is on its way. */
export function nextAvailableMs(
  pods: readonly Pod[],
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  const waits = pods.flatMap((pod) => {
    const sinceMs = readySinceMs(pod);
    const waitMs = sinceMs === undefined ? 0 : sinceMs + minReadySeconds * 1000 - nowMs;
    return waitMs > 0 ? [waitMs] : [];
  });
  return waits.length === 0 ? undefined : Math.min(...waits);
}
