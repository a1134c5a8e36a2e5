import type { Pod } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { pods } from '#api/schema/kind-ref.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { ApiClient } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { Informers } from '#client/informers.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { defaultSchedulerName } from './config/scheduler-configuration.ts';
import type { PodGroups } from './gang/pod-groups.ts';
import type { AttemptResult, SchedulerMetrics } from './metrics/scheduler-metrics.ts';
import type { PendingPods } from './pending-pods.ts';
import type { Profile } from './plugin.ts';

/** What the parts of a scheduler share. */
export interface Parts {
  readonly informers: Informers;
  readonly client: ApiClient;
  readonly cache: ClusterCache;
  readonly pending: PendingPods;
  /** Each profile speaks for itself: the component of its events is its name. */
  readonly recorderFor: (schedulerName: string) => EventRecorder;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: SchedulerMetrics;
  /** When each pod that is being tried was begun with (monotonic). */
  readonly begun: Map<string, number>;
  /** Of which pods may be; empty where none are served. */
  readonly groups: PodGroups;
  /** By schedulerName: pods that name another scheduler are left alone. */
  readonly profiles: ReadonlyMap<string, Profile>;
}

export function schedulerNameOf(pod: Pod): string {
  return pod.spec?.schedulerName ?? defaultSchedulerName;
}

/** Neither bound nor about to be, nor gone, nor another of its name. */
export function isStillWaiting({ informers, cache }: Pick<Parts, 'informers' | 'cache'>, pod: Pod): boolean {
  const key = objectKey(pod);
  const latest = informers.for(pods).get(key);
  return (
    latest !== undefined &&
    latest.metadata?.uid === pod.metadata?.uid &&
    latest.metadata?.deletionTimestamp === undefined &&
    (latest.spec?.nodeName ?? '') === '' &&
    !cache.isAssumed(key)
  );
}

/** Counts a try of the pod that ended so. */
export function noteAttempt(
  { metrics, begun, clock }: Pick<Parts, 'metrics' | 'begun' | 'clock'>,
  pod: Pod,
  result: AttemptResult,
): void {
  const key = objectKey(pod);
  const sinceMs = begun.get(key);
  if (sinceMs === undefined) return;
  begun.delete(key);
  metrics.attempted(schedulerNameOf(pod), result, (clock.monotonic() - sinceMs) / 1000);
}
