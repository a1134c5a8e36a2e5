import { findCondition, isConditionTrue } from '#api/meta/condition.ts';
import type { Job, JobCondition, Pod } from '#api/generated/objects.ts';
import type { Tally } from './count.ts';
import { isPodFailed, judgeFailure } from './failure-policy.ts';
import { isIndexed } from './indexes.ts';
import { metSuccessRule } from './success-policy.ts';

/** How a Job ends, with the reason and message of its conditions. */
export interface Verdict {
  readonly type: 'Complete' | 'Failed';
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
}

/** Told before the end is: from then on it stays decided, while pods still have to go and to be counted. */
export const interimCondition = { Complete: 'SuccessCriteriaMet', Failed: 'FailureTarget' } as const;

export interface JobProgress {
  readonly job: Job;
  readonly pods: readonly Pod[];
  readonly activeCount: number;
  readonly counts: Tally;
  readonly nowMs: number;
}

/** Whether and how the Job ends, in kube-controller-manager's order of reasons. */
export function verdictOf(progress: JobProgress): Verdict | undefined {
  return (
    decidedVerdict(progress.job) ??
    policyFailure(progress) ??
    limitFailure(progress) ??
    indexFailure(progress) ??
    success(progress)
  );
}

/** Whether the Job has come to its end. */
export function isFinished({ status }: Job): boolean {
  return ['Complete', 'Failed'].some((type) => isConditionTrue(status?.conditions, type));
}

/** When the Job's activeDeadlineSeconds end, in milliseconds since the epoch. A suspended one does not run towards it. */
export function deadlineMs({ spec, status }: Job): number | undefined {
  if (spec?.activeDeadlineSeconds === undefined || spec.suspend === true) return undefined;
  return status?.startTime === undefined
    ? undefined
    : Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1000;
}

function decidedVerdict({ status }: Job): Verdict | undefined {
  for (const type of ['Complete', 'Failed'] as const) {
    const found = findCondition<JobCondition>(status?.conditions, interimCondition[type]);
    if (found?.status === 'True') return { type, reason: found.reason, message: found.message };
  }
  return undefined;
}

function policyFailure({ job, pods }: JobProgress): Verdict | undefined {
  if (job.spec?.podFailurePolicy === undefined) return undefined;
  for (const pod of pods.filter((one) => isPodFailed(one, job))) {
    const { action, message } = judgeFailure(job, pod);
    if (action === 'FailJob') return { type: 'Failed', reason: 'PodFailurePolicy', message };
  }
  return undefined;
}

function limitFailure({ job, pods, counts, nowMs }: JobProgress): Verdict | undefined {
  const { backoffLimit = 6 } = job.spec ?? { template: {} };
  const restarts = restartsOf(job, pods);
  const areRestartsTooMany = restarts > 0 && restarts >= backoffLimit;
  if (counts.failed > backoffLimit || areRestartsTooMany) {
    const message = 'Job has reached the specified backoff limit';
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message };
  }
  const deadline = deadlineMs(job);
  if (deadline === undefined || nowMs < deadline) return undefined;
  return {
    type: 'Failed',
    reason: 'DeadlineExceeded',
    message: 'Job was active longer than specified deadline',
  };
}

/** Containers that the kubelet starts again fail without their pod failing. */
function restartsOf({ spec }: Job, pods: readonly Pod[]): number {
  if (spec?.template.spec?.restartPolicy !== 'OnFailure') return 0;
  return pods
    .filter(({ status }) => status?.phase === 'Running' || status?.phase === 'Pending')
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
}

function indexFailure({ job, counts }: JobProgress): Verdict | undefined {
  const { completions = 0, maxFailedIndexes } = job.spec ?? { template: {} };
  const failed = counts.failedIndexes.size;
  if (maxFailedIndexes !== undefined && failed > maxFailedIndexes) {
    const message = 'Job has exceeded the specified maximal number of failed indexes';
    return { type: 'Failed', reason: 'MaxFailedIndexesExceeded', message };
  }
  return failed > 0 && failed + counts.succeededIndexes.size >= completions
    ? { type: 'Failed', reason: 'FailedIndexes', message: 'Job has failed indexes' }
    : undefined;
}

function success({ job, activeCount, counts }: JobProgress): Verdict | undefined {
  const message = isIndexed(job) ? metSuccessRule(job, counts.succeededIndexes) : undefined;
  if (message !== undefined) return { type: 'Complete', reason: 'SuccessPolicy', message };
  // Without completions the pods share a queue: when one has succeeded and none is left, the work is done.
  const isDone = counts.succeeded >= (job.spec?.completions ?? 1) && activeCount === 0;
  return isDone
    ? { type: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
    : undefined;
}
