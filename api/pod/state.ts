import { findCondition, isConditionTrue } from '#api/meta/condition.ts';
import type { Pod } from '#api/generated/objects.ts';

/** Succeeded or Failed: its containers will not run again. */
export function isTerminal(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Deletion has been asked for. */
export function isTerminating(pod: Pod): boolean {
  return pod.metadata?.deletionTimestamp !== undefined;
}

/** Counts towards the replicas of its controller. */
export function isActive(pod: Pod): boolean {
  return !isTerminal(pod) && !isTerminating(pod);
}

/** Its Ready condition is True. */
export function isPodReady(pod: Pod): boolean {
  return isConditionTrue(pod.status?.conditions, 'Ready');
}

/** Ready for at least `minReadySeconds` at `now` (milliseconds). */
export function isPodAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  const ready = findCondition(pod.status?.conditions, 'Ready');
  if (ready?.status !== 'True') return false;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  return minReadySeconds === 0 || (!Number.isNaN(since) && since + minReadySeconds * 1000 <= now);
}

/** How an EndpointSlice shows the pod (discovery/v1 EndpointConditions). */
export interface EndpointReadiness {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** `publishNotReadyAddresses` of the Service makes every pod ready. Terminating pods are never ready, but may serve. */
export function endpointReadiness(pod: Pod, publishNotReadyAddresses = false): EndpointReadiness {
  const terminating = isTerminating(pod);
  const serving = isPodReady(pod);
  return { ready: publishNotReadyAddresses || (serving && !terminating), serving, terminating };
}

/** Whether the pod belongs into an EndpointSlice at all: it has an address and still runs. */
export function belongsInEndpoints(pod: Pod): boolean {
  return (pod.status?.podIP ?? '') !== '' && !isTerminal(pod);
}
