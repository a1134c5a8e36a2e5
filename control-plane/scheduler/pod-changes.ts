import { awaitsDeviceClaims } from '#api/device/pod-claims.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { Change } from '#client/informer.ts';
import { placedPodEvents, type ClusterEvent } from './cluster-event.ts';
import { schedulerNameOf, type Parts } from './scheduler-parts.ts';

/** Takes a change of a pod into cache and queue. What of it may help pods that no node did for. */
export function takePodChange(
  { cache, pending, profiles, groups }: Pick<Parts, 'cache' | 'pending' | 'profiles' | 'groups'>,
  { key, old, current }: Change<Pod>,
): readonly ClusterEvent[] {
  const before = old !== undefined && isPlaced(old) ? old : undefined;
  if (current !== undefined && isPlaced(current)) {
    cache.setPod(key, current);
    pending.delete(key);
    return placedPodEvents(before, current);
  }
  const isOurs = current !== undefined && isWaiting(current, profiles);
  // An assumed pod is on its way to its node: an older event must not take it out again.
  if (isOurs && cache.isAssumed(key)) return [];
  cache.setPod(key, undefined);
  if (isOurs && groups.hold(current) === undefined) pending.put(current);
  else pending.delete(key);
  return placedPodEvents(before, undefined);
}

function isPlaced(pod: Pod): boolean {
  return (pod.spec?.nodeName ?? '') !== '' && !isFinished(pod);
}

/** Whether it is ours and may be tried. */
export function isWaiting(pod: Pod, profiles: Parts['profiles']): boolean {
  const profile = profiles.get(schedulerNameOf(pod));
  return (
    profile !== undefined &&
    (pod.spec?.nodeName ?? '') === '' &&
    pod.metadata?.deletionTimestamp === undefined &&
    !(profile.hasGates && isGated(pod)) &&
    !awaitsDeviceClaims(pod) &&
    !isFinished(pod)
  );
}

export function isGated(pod: Pod): boolean {
  return (pod.spec?.schedulingGates ?? []).length > 0;
}

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}
