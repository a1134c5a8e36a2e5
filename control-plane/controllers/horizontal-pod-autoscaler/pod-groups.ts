import type { Pod } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { isTerminating } from '#api/pod/state.ts';
import type { AutoscalerSettings } from './settings.ts';

/** What was measured of a pod. */
export interface PodSample {
  /** Thousandths of the unit. */
  readonly milli: number;
  readonly atMs: number;
  /** Over which time it was measured. */
  readonly windowMs: number;
}

/** Pods by whether what they use counts. */
export interface PodGroups {
  /** In thousandths, of those that count. */
  readonly used: ReadonlyMap<string, number>;
  /** They count as using nothing, where more would be asked for. */
  readonly unready: ReadonlySet<string>;
  /** Nobody knows what they use: they count against whatever is about to be done. */
  readonly missing: ReadonlySet<string>;
}

export interface GroupingOf {
  /** By name. */
  readonly samples: ReadonlyMap<string, PodSample>;
  /** Processor time that a pod uses as it starts says nothing of its load. */
  readonly isCpu: boolean;
  readonly settings: AutoscalerSettings;
  readonly nowMs: number;
}

/** As the replica calculator of Kubernetes sorts pods: those that go, or have failed, are in no group. */
export function groupPods(pods: readonly Pod[], given: GroupingOf): PodGroups {
  const used = new Map<string, number>();
  const unready = new Set<string>();
  const missing = new Set<string>();
  for (const pod of pods) {
    const { name = '' } = pod.metadata ?? {};
    if (isTerminating(pod) || pod.status?.phase === 'Failed') continue;
    const sample = given.samples.get(name);
    if (pod.status?.phase === 'Pending') unready.add(name);
    else if (sample === undefined) missing.add(name);
    else if (given.isCpu && isUnready(pod, sample, given)) unready.add(name);
    else used.set(name, sample.milli);
  }
  return { used, unready, missing };
}

function isUnready({ status }: Pod, sample: PodSample, { settings, nowMs }: GroupingOf): boolean {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready === undefined || status?.startTime === undefined) return true;
  const startMs = Date.parse(status.startTime);
  const changedMs = Date.parse(ready.lastTransitionTime ?? status.startTime);
  if (startMs + settings.cpuInitializationPeriodMs > nowMs)
    return ready.status === 'False' || sample.atMs < changedMs + sample.windowMs;
  return ready.status === 'False' && startMs + settings.initialReadinessDelayMs > changedMs;
}
