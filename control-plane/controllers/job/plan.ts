import { findCondition, isConditionTrue, withCondition } from '#api/meta/condition.ts';
import type { Job, JobCondition, JobStatus, Pod } from '#api/generated/objects.ts';
import { isActive, isPodReady, isTerminal } from '#api/pod/state.ts';
import { formatTime } from '#api/meta/time.ts';
import { rankActive } from '#control-plane/controllers/pods/rank-for-deletion.ts';
import { backoffLeftMs, failureAnnotations, indexBackoffLeftMs } from './backoff.ts';
import { isTracked, planRelease, tally, type Tally } from './count.ts';
import { replacesOnlyFailed } from './failure-policy.ts';
import { formatIndexes, indexOf, isIndexed } from './indexes.ts';
import { deadlineMs, interimCondition, isFinished, verdictOf, type Verdict } from './verdict.ts';

/** Pods made or deleted in one go at most (kube-controller-manager's MaxPodCreateDeletePerSync); their events bring the next. */
const burstMax = 500;

export interface JobState {
  readonly job: Job;
  /** Owned by it. */
  readonly pods: readonly Pod[];
  /** Deletion was asked for, though the pods do not show it yet. */
  readonly deletedUids: ReadonlySet<string>;
  readonly nowMs: number;
}

export interface JobPlan {
  readonly status: JobStatus;
  /** Once `status` is stored, their finalizer goes: it counts them, or they do not count. */
  readonly releasePods: readonly Pod[];
  /** Then these are deleted. */
  readonly deletePods: readonly Pod[];
  readonly createPods: readonly WantedPod[];
  /** When to look again though nothing happens. */
  readonly againMs: number | undefined;
}

export interface WantedPod {
  /** Of an Indexed job. */
  readonly index: number | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The pods by what they still do. */
interface Running {
  readonly active: readonly Pod[];
  /** Being deleted, and not over. */
  readonly terminating: readonly Pod[];
}

/**
 * What a Job needs next. A finished pod is counted once though it may be removed at any time: its uid goes into
 * status.uncountedTerminatedPods first, then its finalizer goes, then the uid becomes one more in the count.
 */
export function planJob(state: JobState): JobPlan {
  const { job, pods, nowMs } = state;
  const running = runningOf(state);
  if (isFinished(job)) return planFinished(state, running);
  const counts = tally(job, pods);
  const surplus = surplusOf(state, running, counts);
  // Those that are too many do not keep the Job from its end, be it suspended or not.
  const activeCount = running.active.length - surplus.length;
  const verdict = verdictOf({ job, pods, activeCount, counts, nowMs });
  const deletePods = verdict === undefined ? surplus : running.active;
  const creation =
    verdict === undefined && deletePods.length === 0
      ? planCreation(state, running, counts)
      : { createPods: [], waitMs: undefined };
  const release = planRelease(job, pods, counts, verdict?.type);
  const deleted = new Set(deletePods);
  const left = running.active.filter((pod) => !deleted.has(pod));
  const terminating = running.terminating.length + deletePods.length;
  // The end is told only when every pod is gone, let go and counted: who waits for the Job may read the numbers then.
  const isCounted = Object.keys(release.uncounted).length === 0 && !pods.some(isTracked);
  const isTold = isCounted && left.length + terminating === 0;
  const startTime = startTimeOf(job, verdict, nowMs);
  const status: JobStatus = {
    ...job.status,
    startTime,
    active: orNothing(left.length),
    ready: left.filter(isPodReady).length,
    terminating,
    succeeded: orNothing(counts.counted.succeeded),
    failed: orNothing(counts.counted.failed),
    completedIndexes: isIndexed(job) ? formatIndexes(counts.succeededIndexes) || undefined : undefined,
    failedIndexes:
      job.spec?.backoffLimitPerIndex === undefined ? undefined : formatIndexes(counts.failedIndexes),
    uncountedTerminatedPods: release.uncounted,
    completionTime: isTold && verdict?.type === 'Complete' ? formatTime(nowMs) : undefined,
    conditions: conditionsOf(job, { verdict, isTold, nowMs }),
  };
  return {
    status,
    releasePods: verdict === undefined ? [...new Set([...release.pods, ...deletePods])] : release.pods,
    deletePods,
    createPods: creation.createPods,
    againMs: againMs({ ...job, status }, { verdict, waitMs: creation.waitMs, nowMs }),
  };
}

/** How long a finished Job is still kept; undefined: for ever. */
export function timeToLiveMs({ spec, status }: Job, nowMs: number): number | undefined {
  const seconds = spec?.ttlSecondsAfterFinished;
  const end = status?.conditions?.find(
    (one) => (one.type === 'Complete' || one.type === 'Failed') && one.status === 'True',
  );
  if (seconds === undefined || end?.lastTransitionTime === undefined) return undefined;
  return Date.parse(end.lastTransitionTime) + seconds * 1000 - nowMs;
}

/** Pods that turn up after the end are removed; nothing counts any more. */
function planFinished({ job, pods }: JobState, { active }: Running): JobPlan {
  return {
    status: job.status ?? {},
    releasePods: pods.filter(isTracked),
    deletePods: isLeaving(job) ? [] : active,
    createPods: [],
    againMs: undefined,
  };
}

/** Its deletion was asked for: its pods are the garbage collector's, and still counted while it is there. */
function isLeaving({ metadata }: Job): boolean {
  return metadata?.deletionTimestamp !== undefined;
}

function runningOf({ pods, deletedUids }: JobState): Running {
  const isAsked = ({ metadata }: Pod): boolean => deletedUids.has(metadata?.uid ?? '');
  const active = pods.filter((pod) => isActive(pod) && !isAsked(pod));
  const terminating = pods.filter((pod) => !isTerminal(pod) && (!isActive(pod) || isAsked(pod)));
  return { active, terminating };
}

/** Active pods that are too many: all when suspended, a second one of an index, one of no index, then by rank. */
function surplusOf({ job }: JobState, { active }: Running, counts: Tally): readonly Pod[] {
  if (isLeaving(job)) return [];
  if (job.spec?.suspend === true) return active;
  const excess = active.length - wantedActive(job, counts, active.length);
  if (excess <= 0 && !isIndexed(job)) return [];
  const ranked = rankActive(active);
  if (!isIndexed(job)) return ranked.slice(0, Math.min(burstMax, excess));
  const keep = new Map(ranked.map((pod) => [indexOf(pod, job), pod])); // The last of an index is the best.
  keep.delete(undefined);
  const kept = new Set(keep.values());
  const stray = ranked.filter((pod) => !kept.has(pod));
  const others = ranked.filter((pod) => kept.has(pod)).slice(0, Math.max(0, excess - stray.length));
  return [...stray, ...others].slice(0, burstMax);
}

function wantedActive({ spec }: Job, { succeeded }: Tally, active: number): number {
  const { parallelism = 1, completions } = spec ?? { template: {} };
  if (completions === undefined) return succeeded > 0 ? active : parallelism;
  return Math.min(parallelism, Math.max(0, completions - succeeded));
}

function planCreation(
  { job, pods, nowMs }: JobState,
  { active, terminating }: Running,
  counts: Tally,
): { readonly createPods: readonly WantedPod[]; readonly waitMs: number | undefined } {
  const nothing = { createPods: [], waitMs: undefined };
  if (job.spec?.suspend === true || isLeaving(job)) return nothing;
  // Until a pod that is going has ended, its place is taken.
  const leaving = replacesOnlyFailed(job) ? terminating : [];
  const missing = wantedActive(job, counts, active.length) - active.length - leaving.length;
  if (missing <= 0) return nothing;
  const count = Math.min(missing, burstMax);
  if (job.spec?.backoffLimitPerIndex === undefined) {
    const waitMs = backoffLeftMs(job, pods, nowMs);
    if (waitMs > 0) return { createPods: [], waitMs };
    const indexes = isIndexed(job)
      ? freeIndexes(job, [...active, ...leaving], counts, count)
      : Array.from({ length: count }, () => undefined);
    return { createPods: indexes.map((index) => ({ index, annotations: {} })), waitMs: undefined };
  }
  const free = freeIndexes(job, [...active, ...leaving], counts, count).map((index) => {
    const replaced = counts.replaced.get(index);
    const annotations = failureAnnotations(job, replaced);
    return { index, annotations, waitMs: indexBackoffLeftMs(replaced, nowMs) };
  });
  const waits = free.flatMap(({ waitMs }) => (waitMs > 0 ? [waitMs] : []));
  return {
    createPods: free
      .filter(({ waitMs }) => waitMs <= 0)
      .map(({ index, annotations }) => ({ index, annotations })),
    waitMs: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

/** The lowest indexes that nobody works on and that are not done. */
function freeIndexes(
  job: Job,
  taking: readonly Pod[],
  { succeededIndexes, failedIndexes }: Tally,
  count: number,
): readonly number[] {
  const taken = new Set(taking.map((pod) => indexOf(pod, job)));
  const free: number[] = [];
  for (let index = 0; index < (job.spec?.completions ?? 0) && free.length < count; index++) {
    if (!taken.has(index) && !succeededIndexes.has(index) && !failedIndexes.has(index)) free.push(index);
  }
  return free;
}

/** Since when the Job runs: suspending it forgets that, so that its deadline begins anew. */
function startTimeOf({ spec, status }: Job, verdict: Verdict | undefined, nowMs: number): string | undefined {
  if (spec?.suspend === true && verdict === undefined) return undefined;
  return status?.startTime ?? formatTime(nowMs);
}

interface Ending {
  readonly verdict: Verdict | undefined;
  readonly isTold: boolean;
  readonly nowMs: number;
}

function conditionsOf(job: Job, { verdict, isTold, nowMs }: Ending): JobStatus['conditions'] {
  const { spec, status } = job;
  const lastProbeTime = formatTime(nowMs);
  const set = (conditions: readonly JobCondition[], next: JobCondition): readonly JobCondition[] =>
    findCondition(conditions, next.type)?.status === next.status
      ? conditions
      : withCondition(conditions, { ...next, lastProbeTime }, nowMs);
  const before = status?.conditions ?? [];
  if (verdict !== undefined) {
    const { type, ...why } = verdict;
    const decided = set(before, { ...why, type: interimCondition[type], status: 'True' });
    return isTold ? set(decided, { ...why, type, status: 'True' }) : decided;
  }
  if (isLeaving(job)) return status?.conditions;
  const said = { type: 'Suspended', reason: 'JobSuspended', message: 'Job suspended', status: 'True' };
  if (spec?.suspend === true) return set(before, said);
  if (!isConditionTrue(before, 'Suspended')) return status?.conditions;
  return set(before, { ...said, reason: 'JobResumed', message: 'Job resumed', status: 'False' });
}

function againMs(
  job: Job,
  {
    verdict,
    waitMs,
    nowMs,
  }: { readonly verdict: Verdict | undefined; readonly waitMs: number | undefined; readonly nowMs: number },
): number | undefined {
  if (verdict !== undefined) return undefined;
  const deadline = deadlineMs(job);
  const waits = [
    ...(deadline === undefined ? [] : [deadline - nowMs]),
    ...(waitMs === undefined ? [] : [waitMs]),
  ];
  return waits.length === 0 ? undefined : Math.max(1, Math.min(...waits));
}

function orNothing(count: number): number | undefined {
  return count === 0 ? undefined : count;
}
