import { findCondition } from '#api/meta/condition.ts';
import type { Job, Pod } from '#api/generated/objects.ts';
import { isPodFailed, judgeFailure } from './failure-policy.ts';

/** On the pods of an Indexed job with backoffLimitPerIndex: how often the index failed before, and how often that was ignored. */
const failureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count';
const ignoredCountAnnotation = 'batch.kubernetes.io/job-index-ignored-failure-count';

/** As kube-controller-manager: 10 s after the first failure, doubling, to at most 10 minutes. */
const backoffInitialMs = 10_000;
const backoffMaxMs = 600_000;

const countMax = 2_147_483_647;

/** How long no pod is created yet: the failures since the last success count, and the time of the latest. */
export function backoffLeftMs(job: Job, pods: readonly Pod[], nowMs: number): number {
  const successes = pods.filter(({ status }) => status?.phase === 'Succeeded').map(endedMs);
  const failures = pods.filter((pod) => isPodFailed(pod, job)).map(endedMs);
  const lastSuccessMs = Math.max(Number.NEGATIVE_INFINITY, ...successes);
  const since = failures.filter((ms) => ms > lastSuccessMs);
  return leftMs(since.length, Math.max(...since), nowMs);
}

/** The same for one index, after its latest pod failed. */
export function indexBackoffLeftMs(latest: Pod | undefined, nowMs: number): number {
  if (latest === undefined) return 0;
  return leftMs(failuresBefore(latest) + 1, endedMs(latest), nowMs);
}

/** How often the pod's index failed before the pod, ignored failures included. */
export function failuresBefore(pod: Pod): number {
  return countOf(pod, failureCountAnnotation) + countOf(pod, ignoredCountAnnotation);
}

/** Whether the failed pod takes its index along: its policy says so, or the index has failed often enough. */
export function isIndexLost(job: Job, pod: Pod): boolean {
  const limit = job.spec?.backoffLimitPerIndex;
  if (limit === undefined || !isPodFailed(pod, job)) return false;
  const { action } = judgeFailure(job, pod);
  return action === 'FailIndex' || (action !== 'Ignore' && countOf(pod, failureCountAnnotation) >= limit);
}

/** The counts that the next pod of the index carries. */
export function failureAnnotations(job: Job, replaced: Pod | undefined): Readonly<Record<string, string>> {
  if (job.spec?.backoffLimitPerIndex === undefined) return {};
  if (replaced === undefined) return { [failureCountAnnotation]: '0' };
  const isIgnored = judgeFailure(job, replaced).action === 'Ignore';
  const failures = countOf(replaced, failureCountAnnotation) + (isIgnored ? 0 : 1);
  const ignored = countOf(replaced, ignoredCountAnnotation) + (isIgnored ? 1 : 0);
  return {
    [failureCountAnnotation]: String(failures),
    ...(ignored === 0 ? {} : { [ignoredCountAnnotation]: String(ignored) }),
  };
}

function leftMs(failures: number, latestMs: number, nowMs: number): number {
  if (failures === 0) return 0;
  return Math.max(0, latestMs + Math.min(backoffMaxMs, backoffInitialMs * 2 ** (failures - 1)) - nowMs);
}

/**
 * When the pod ended, as near as its status tells: its last container, sidecars among them, where all have ended; else when it
 * was ready no more, deleted, or made.
 */
export function endedMs({ metadata, status }: Pod): number {
  const containers = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])];
  const ends = containers.flatMap(({ state }) => state?.terminated?.finishedAt ?? []);
  if (ends.length > 0 && ends.length === containers.length) {
    return Math.max(...ends.map((text) => Date.parse(text)));
  }
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'False' && ready.lastTransitionTime !== undefined) {
    return Date.parse(ready.lastTransitionTime);
  }
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp = '' } = metadata ?? {};
  return deletionTimestamp === undefined
    ? Date.parse(creationTimestamp) || 0
    : Date.parse(deletionTimestamp) - deletionGracePeriodSeconds * 1000;
}

/** What no controller wrote, as it is no count of 32 bits, is none. */
function countOf({ metadata }: Pod, annotation: string): number {
  const text = metadata?.annotations?.[annotation] ?? '';
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  return count > countMax ? 0 : count;
}
