import { findCondition, isConditionTrue, withCondition } from '#api/condition.ts';
import type { Job, JobCondition, JobStatus, Pod, UncountedTerminatedPods } from '#api/objects.ts';
import { isActive, isPodReady, isTerminal } from '#api/pod/state.ts';
import { formatTime } from '#api/time.ts';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';

/** As kube-controller-manager: 10 s after the first failure, doubling, to at most 10 minutes. */
const backoffInitialMs = 10_000;
const backoffMaxMs = 600_000;

export interface JobState {
  readonly job: Job;
  /** Owned by it. */
  readonly pods: readonly Pod[];
  readonly deletedUids: ReadonlySet<string>;
  readonly nowMs: number;
}

export interface JobPlan {
  readonly status: JobStatus;
  /** Finished pods that `status` counts as uncounted: once it is stored, their finalizer goes. */
  readonly releasePods: readonly Pod[];
  readonly deletePods: readonly Pod[];
  readonly createCount: number;
  /** Completion indexes of the pods to create, of an Indexed job. */
  readonly createIndexes: readonly number[];
  /** When to look again though nothing happens. */
  readonly againMs: number | undefined;
}

interface Counts {
  readonly succeeded: number;
  readonly failed: number;
  readonly uncounted: UncountedTerminatedPods;
  readonly doneIndexes: ReadonlySet<number>;
}

/**
 * What a Job needs next. A finished pod is counted once though it may be removed at any time: its uid goes into
 * status.uncountedTerminatedPods first, then its finalizer goes, then the uid becomes one more in the count.
 */
export function planJob(state: JobState): JobPlan {
  const { job, pods, deletedUids, nowMs } = state;
  const spec = job.spec ?? { template: {} };
  const before = job.status ?? {};
  const counts = countFinished(job, pods);
  const active = pods.filter((pod) => isActive(pod) && !deletedUids.has(pod.metadata?.uid ?? ''));
  const total = {
    succeeded: counts.succeeded + (counts.uncounted.succeeded?.length ?? 0),
    failed: counts.failed + (counts.uncounted.failed?.length ?? 0),
  };
  const releasePods = pods.filter((pod) => isTerminal(pod) && isTracked(pod));
  const isSuspended = spec.suspend === true;
  const verdict = isFinished(job)
    ? undefined
    : verdictOf(state, { ...total, doneIndexes: counts.doneIndexes });
  const startTime = before.startTime ?? (isSuspended ? undefined : formatTime(nowMs));
  const isOver = isFinished(job) || verdict !== undefined;
  const wanted = isOver || isSuspended ? 0 : wantedActive(job, total.succeeded, active.length);
  const backoffMs = isOver ? 0 : backoffLeftMs(pods, total.failed, nowMs);
  const missing = backoffMs > 0 ? 0 : Math.max(0, wanted - active.length);
  const createIndexes = isIndexed(job) ? freeIndexes(job, active, counts.doneIndexes).slice(0, missing) : [];
  // The verdict is told only when every pod is counted: who waits for the Job may read the numbers then.
  const isCounted =
    releasePods.length === 0 && total.succeeded === counts.succeeded && total.failed === counts.failed;
  const isTold = verdict !== undefined && isCounted && active.length === 0;
  const conditions = conditionsOf(before, { verdict: isTold ? verdict : undefined, isSuspended, nowMs });
  const status: JobStatus = {
    ...before,
    ...omitZero({
      active: active.length,
      ready: active.filter(isPodReady).length,
      succeeded: counts.succeeded,
      failed: counts.failed,
      terminating: pods.filter((pod) => pod.metadata?.deletionTimestamp !== undefined && !isTerminal(pod))
        .length,
    }),
    startTime: isSuspended ? undefined : startTime,
    completionTime: isTold && verdict.type === 'Complete' ? formatTime(nowMs) : before.completionTime,
    completedIndexes: isIndexed(job) ? formatIndexes(counts.doneIndexes) : undefined,
    uncountedTerminatedPods: counts.uncounted,
    ...(conditions.length === 0 ? {} : { conditions }),
  };
  return {
    status,
    releasePods,
    deletePods: isOver || isSuspended ? active : active.slice(Math.max(wanted, 0)),
    createCount: isIndexed(job) ? createIndexes.length : missing,
    createIndexes,
    againMs: againMs(job, { startTime, backoffMs: wanted > active.length ? backoffMs : 0, isOver, nowMs }),
  };
}

/** Whether the Job has come to its end. */
export function isFinished(job: Job): boolean {
  return ['Complete', 'Failed'].some((type) => isConditionTrue(job.status?.conditions, type));
}

/** How long a finished Job is still kept; undefined: for ever. */
export function timeToLiveMs(job: Job, nowMs: number): number | undefined {
  const seconds = job.spec?.ttlSecondsAfterFinished;
  const condition = job.status?.conditions?.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  if (seconds === undefined || condition?.lastTransitionTime === undefined) return undefined;
  return Date.parse(condition.lastTransitionTime) + seconds * 1000 - nowMs;
}

/** The completion index of a pod of an Indexed job. */
export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata?.annotations?.[indexAnnotation];
  return text === undefined ? undefined : Number(text);
}

export function isIndexed(job: Job): boolean {
  return job.spec?.completionMode === 'Indexed';
}

function isTracked({ metadata }: Pod): boolean {
  return metadata?.finalizers?.includes(trackingFinalizer) === true;
}

function countFinished(job: Job, pods: readonly Pod[]): Counts {
  const { succeeded = 0, failed = 0, uncountedTerminatedPods: noted = {} } = job.status ?? {};
  const tracked = pods.filter((pod) => isTerminal(pod) && isTracked(pod));
  const of = (phase: 'Succeeded' | 'Failed', before: readonly string[] = []) => {
    const uids = tracked
      .filter(({ status }) => status?.phase === phase)
      .map(({ metadata }) => metadata?.uid ?? '');
    // Noted, and its finalizer is gone: counted for good.
    return { uids, countedNow: before.filter((uid) => !uids.includes(uid)).length };
  };
  const good = of('Succeeded', noted.succeeded);
  const bad = of('Failed', noted.failed);
  const finishedIndexes = pods
    .filter(({ status }) => status?.phase === 'Succeeded')
    .flatMap((pod) => indexOf(pod) ?? []);
  return {
    succeeded: succeeded + good.countedNow,
    failed: failed + bad.countedNow,
    uncounted: {
      ...(good.uids.length === 0 ? {} : { succeeded: good.uids }),
      ...(bad.uids.length === 0 ? {} : { failed: bad.uids }),
    },
    doneIndexes: new Set([...parseIndexes(job.status?.completedIndexes), ...finishedIndexes]),
  };
}

type Verdict = Pick<JobCondition, 'type' | 'reason' | 'message'>;

function verdictOf(
  { job, pods, nowMs }: JobState,
  counts: { readonly succeeded: number; readonly failed: number; readonly doneIndexes: ReadonlySet<number> },
): Verdict | undefined {
  const { completions, backoffLimit = 6, activeDeadlineSeconds } = job.spec ?? { template: {} };
  const restarts = pods.flatMap(({ spec, status }) =>
    spec?.restartPolicy === 'OnFailure'
      ? (status?.containerStatuses ?? []).map((one) => one.restartCount)
      : [],
  );
  if (counts.failed + restarts.reduce((sum, one) => sum + one, 0) > backoffLimit) {
    return {
      type: 'Failed',
      reason: 'BackoffLimitExceeded',
      message: 'Job has reached the specified backoff limit',
    };
  }
  const { startTime } = job.status ?? {};
  if (
    activeDeadlineSeconds !== undefined &&
    startTime !== undefined &&
    job.spec?.suspend !== true &&
    nowMs - Date.parse(startTime) >= activeDeadlineSeconds * 1000
  ) {
    return {
      type: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Job was active longer than specified deadline',
    };
  }
  const done = isIndexed(job) ? counts.doneIndexes.size : counts.succeeded;
  // Without completions the pods share a queue: when one has succeeded and none is left, the work is done.
  const isComplete = completions === undefined ? done > 0 && !pods.some(isActive) : done >= completions;
  return isComplete
    ? { type: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
    : undefined;
}

function wantedActive(job: Job, succeeded: number, active: number): number {
  const { parallelism = 1, completions } = job.spec ?? { template: {} };
  if (completions === undefined) return succeeded > 0 ? Math.min(active, parallelism) : parallelism;
  return Math.min(parallelism, Math.max(0, completions - succeeded));
}

function freeIndexes(job: Job, active: readonly Pod[], done: ReadonlySet<number>): readonly number[] {
  const taken = new Set(active.flatMap((pod) => indexOf(pod) ?? []));
  return Array.from({ length: job.spec?.completions ?? 0 }, (_, index) => index).filter(
    (index) => !taken.has(index) && !done.has(index),
  );
}

/** How long after the latest failure no pod is created yet. */
function backoffLeftMs(pods: readonly Pod[], failed: number, nowMs: number): number {
  if (failed === 0) return 0;
  const ends = pods
    .filter(({ status }) => status?.phase === 'Failed')
    .flatMap(({ status }) =>
      (status?.containerStatuses ?? []).map((one) => one.state?.terminated?.finishedAt),
    )
    .flatMap((text) => (text === undefined ? [] : [Date.parse(text)]));
  if (ends.length === 0) return 0;
  const waitMs = Math.min(backoffMaxMs, backoffInitialMs * 2 ** (failed - 1));
  return Math.max(...ends) + waitMs - nowMs;
}

function conditionsOf(
  before: JobStatus,
  {
    verdict,
    isSuspended,
    nowMs,
  }: { readonly verdict: Verdict | undefined; readonly isSuspended: boolean; readonly nowMs: number },
): readonly JobCondition[] {
  const lastProbeTime = formatTime(nowMs);
  let conditions = before.conditions ?? [];
  const wasSuspended = isConditionTrue(conditions, 'Suspended');
  if (isSuspended !== wasSuspended && (isSuspended || findCondition(conditions, 'Suspended') !== undefined)) {
    const [status, reason] = isSuspended ? ['True', 'JobSuspended'] : ['False', 'JobResumed'];
    const message = isSuspended ? 'Job suspended' : 'Job resumed';
    conditions = withCondition(
      conditions,
      { type: 'Suspended', status, reason, message, lastProbeTime },
      nowMs,
    );
  }
  if (verdict === undefined) return conditions;
  const early = verdict.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  conditions = withCondition(conditions, { ...verdict, type: early, status: 'True', lastProbeTime }, nowMs);
  return withCondition(conditions, { ...verdict, status: 'True', lastProbeTime }, nowMs);
}

function againMs(
  job: Job,
  now: {
    readonly startTime: string | undefined;
    readonly backoffMs: number;
    readonly isOver: boolean;
    readonly nowMs: number;
  },
): number | undefined {
  if (now.isOver) return timeToLiveMs(job, now.nowMs);
  const { activeDeadlineSeconds } = job.spec ?? { template: {} };
  const deadline =
    activeDeadlineSeconds === undefined || now.startTime === undefined
      ? []
      : [Date.parse(now.startTime) + activeDeadlineSeconds * 1000 - now.nowMs];
  const waits = [...deadline, ...(now.backoffMs > 0 ? [now.backoffMs] : [])];
  return waits.length === 0 ? undefined : Math.max(1, Math.min(...waits));
}

/** `0-2,5` */
export function formatIndexes(indexes: ReadonlySet<number>): string {
  const parts: string[] = [];
  for (const index of [...indexes].toSorted((a, b) => a - b)) {
    if (indexes.has(index - 1)) continue;
    let end = index;
    while (indexes.has(end + 1)) end += 1;
    parts.push(end === index ? String(index) : `${index}-${end}`);
  }
  return parts.join(',');
}

function parseIndexes(text: string | undefined): readonly number[] {
  return (text ?? '').split(',').flatMap((part) => {
    const [start, end = start] = part.split('-').map(Number);
    if (part === '' || start === undefined || end === undefined) return [];
    return Array.from({ length: end - start + 1 }, (_, offset) => start + offset);
  });
}

function omitZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [name, count === 0 ? undefined : count]),
  );
}
