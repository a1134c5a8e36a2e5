import type { Job, Pod, UncountedTerminatedPods } from '#api/generated/objects.ts';
import { isActive } from '#api/pod/state.ts';
import { endedMs, failuresBefore, isIndexLost } from './backoff.ts';
import { isPodFailed, judgeFailure } from './failure-policy.ts';
import { indexOf, isIndexed, parseIndexes } from './indexes.ts';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';

/** Uids noted in one status, and indexes done that come to it, at most (kube-controller-manager's MaxUncountedPods). */
const uncountedMax = 500;

/** How a Job's pods ended so far. */
export interface Tally {
  /** Counted for good, as status has it: their finalizers are gone. */
  readonly counted: { readonly succeeded: number; readonly failed: number };
  /** With those that are not counted yet. */
  readonly succeeded: number;
  readonly failed: number;
  /** Noted in status, their finalizer not yet gone. */
  readonly noted: { readonly succeeded: readonly string[]; readonly failed: readonly string[] };
  /** Of an Indexed job. */
  readonly succeededIndexes: ReadonlySet<number>;
  /** With backoffLimitPerIndex: those that will not be tried again. */
  readonly failedIndexes: ReadonlySet<number>;
  /** With backoffLimitPerIndex: the pod that failed last of each index that is to be tried again. It stays: its annotations have the counts. */
  readonly replaced: ReadonlyMap<number, Pod>;
}

export function tally(job: Job, pods: readonly Pod[]): Tally {
  const { status = {} } = job;
  const tracked = pods.filter(isTracked);
  const before = status.uncountedTerminatedPods ?? {};
  const present = new Set(tracked.map(uidOf));
  const split = (uids: readonly string[] = []) => ({
    still: uids.filter((uid) => present.has(uid)),
    gone: uids.filter((uid) => !present.has(uid)).length,
  });
  const [good, bad] = [split(before.succeeded), split(before.failed)];
  const isNoted = new Set([...good.still, ...bad.still]);
  const fresh = tracked.filter((pod) => !isNoted.has(uidOf(pod)));
  const counted = { succeeded: (status.succeeded ?? 0) + good.gone, failed: (status.failed ?? 0) + bad.gone };
  const indexes = indexesOf(job, pods);
  const newSucceeded = fresh.filter((pod) => pod.status?.phase === 'Succeeded').length;
  const newFailed = fresh.filter((pod) => isPodFailed(pod, job) && countsIfFailed(job, pod)).length;
  return {
    ...indexes,
    counted: isIndexed(job) ? { ...counted, succeeded: indexes.succeededIndexes.size } : counted,
    succeeded: isIndexed(job)
      ? indexes.succeededIndexes.size
      : counted.succeeded + good.still.length + newSucceeded,
    failed: counted.failed + bad.still.length + newFailed,
    noted: { succeeded: good.still, failed: bad.still },
  };
}

export interface Release {
  /** What status must say before the finalizers go. */
  readonly uncounted: UncountedTerminatedPods;
  readonly pods: readonly Pod[];
}

/**
 * The pods whose finalizer goes now, and how they are counted. Of a Job that has failed, whatever did not succeed failed; one that
 * is being deleted holds none.
 */
export function planRelease(
  job: Job,
  pods: readonly Pod[],
  { noted, replaced }: Tally,
  end: 'Complete' | 'Failed' | undefined,
): Release {
  const succeeded = [...noted.succeeded];
  const failed = [...noted.failed];
  const released: Pod[] = [];
  const held = new Set([...replaced.values()].map(uidOf));
  const isOver = end !== undefined || job.metadata?.deletionTimestamp !== undefined;
  let newIndexes = 0;
  const before = new Set([...succeeded, ...failed]);
  for (const pod of pods.filter(isTracked)) {
    const uid = uidOf(pod);
    const isNoted = before.has(uid);
    const isSucceeded = pod.status?.phase === 'Succeeded';
    const isFailed = isPodFailed(pod, job);
    if (!isNoted && !isOver && !isSucceeded && (!isFailed || held.has(uid))) continue;
    if (succeeded.length + failed.length + newIndexes >= uncountedMax && !isNoted) break;
    released.push(pod);
    if (isNoted) continue;
    // Completed indexes are counted by the index, so there is no pod to note.
    if (isSucceeded && isIndexed(job)) newIndexes += 1;
    else if (isSucceeded) succeeded.push(uid);
    else if ((isFailed || end === 'Failed') && countsIfFailed(job, pod)) failed.push(uid);
  }
  const uncounted = {
    ...(succeeded.length === 0 ? {} : { succeeded }),
    ...(failed.length === 0 ? {} : { failed }),
  };
  return { uncounted, pods: released };
}

export function isTracked({ metadata }: Pod): boolean {
  return metadata?.finalizers?.includes(trackingFinalizer) === true;
}

function countsIfFailed(job: Job, pod: Pod): boolean {
  const isOfJob = !isIndexed(job) || indexOf(pod, job) !== undefined;
  return isOfJob && judgeFailure(job, pod).action !== 'Ignore';
}

function indexesOf(
  job: Job,
  pods: readonly Pod[],
): Pick<Tally, 'succeededIndexes' | 'failedIndexes' | 'replaced'> {
  const { completions = 0, backoffLimitPerIndex } = job.spec ?? { template: {} };
  const succeededIndexes = new Set<number>();
  const failedIndexes = new Set<number>();
  const replaced = new Map<number, Pod>();
  if (!isIndexed(job)) return { succeededIndexes, failedIndexes, replaced };
  for (const index of parseIndexes(job.status?.completedIndexes, completions)) succeededIndexes.add(index);
  const byIndex = pods.flatMap((pod) => {
    const index = indexOf(pod, job);
    return index === undefined ? [] : [{ pod, index }];
  });
  const tracked = byIndex.filter(({ pod }) => isTracked(pod));
  // One whose finalizer is gone is in the status, or the Job has been made smaller since and larger again.
  for (const { pod, index } of tracked) if (pod.status?.phase === 'Succeeded') succeededIndexes.add(index);
  if (backoffLimitPerIndex === undefined) return { succeededIndexes, failedIndexes, replaced };
  for (const index of parseIndexes(job.status?.failedIndexes, completions)) failedIndexes.add(index);
  for (const { pod, index } of tracked) {
    if (!succeededIndexes.has(index) && isIndexLost(job, pod)) failedIndexes.add(index);
  }
  const active = new Set(byIndex.filter(({ pod }) => isActive(pod)).map(({ index }) => index));
  for (const { pod, index } of tracked) {
    if (!isPodFailed(pod, job)) continue;
    if (active.has(index) || succeededIndexes.has(index) || failedIndexes.has(index)) continue;
    const known = replaced.get(index);
    if (known === undefined || isLaterFailure(pod, known)) replaced.set(index, pod);
  }
  return { succeededIndexes, failedIndexes, replaced };
}

/** Of two failed pods of an index: whether the first has the counts that the next pod goes on from. */
function isLaterFailure(pod: Pod, known: Pod): boolean {
  return failuresBefore(known) <= failuresBefore(pod) && endedMs(known) <= endedMs(pod);
}

function uidOf({ metadata }: Pod): string {
  return metadata?.uid ?? '';
}
