import type { Job, JobSpec, JobStatus, Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { trackingFinalizer } from './count.ts';
import { indexAnnotation } from './indexes.ts';
import { planJob } from './plan.ts';

export const nowMs: number = Date.UTC(2026, 0, 2);
export const longAgo: string = formatTime(0);

const phases: Readonly<Record<string, NonNullable<Pod['status']>['phase']>> = {
  ...{ R: 'Running', P: 'Pending', S: 'Succeeded', F: 'Failed', T: 'Running' },
};

const failureCountAnnotation = 'batch.kubernetes.io/job-index-failure-count';
const wordForm = /^(?:(\w+):)?([RPSFT])(r?)(?:!(\d+))?(?:\/(\d+))?(d?)(x?)$/;

/**
 * Pods by words like `R` (running; P pending, S succeeded, F failed, T terminating), `3:F` (of index 3), `Rr` (ready), `F!3` (with
 * that exit code), `R/2` (whose index failed that often before, or which was restarted that often), `Fd` (disrupted), `Fx` (that was
 * let go).
 */
function podsOf(words: string): readonly Pod[] {
  return words
    .split(' ')
    .filter((word) => word !== '')
    .map((word, nth) => {
      const [, index, letter = '', isReady, exit, failures, isDisrupted, isReleased] =
        wordForm.exec(word) ?? [];
      const exitCode = Number(exit ?? (letter === 'F' ? 1 : 0));
      const state = { terminated: { exitCode, finishedAt: longAgo } };
      const restartCount = Number(failures ?? 0);
      const container = { name: 'c', image: '', imageID: '', ready: false, restartCount, state };
      const conditions = [
        ...(isReady === 'r' ? [{ type: 'Ready', status: 'True' }] : []),
        ...(isDisrupted === 'd' ? [{ type: 'DisruptionTarget', status: 'True' }] : []),
      ];
      const annotations = {
        ...(index === undefined ? {} : { [indexAnnotation]: index }),
        ...(failures === undefined ? {} : { [failureCountAnnotation]: failures }),
      };
      return {
        metadata: {
          name: `pod-${nth}`,
          uid: `pod-${nth}`,
          finalizers: isReleased === 'x' ? [] : [trackingFinalizer],
          ...(letter === 'T' ? { deletionTimestamp: longAgo } : {}),
          annotations,
        },
        status: {
          phase: phases[letter],
          containerStatuses: [container],
          conditions,
        },
      };
    });
}

export interface Row {
  readonly name: string;
  readonly spec: Partial<JobSpec>;
  readonly isDeleting?: boolean;
  readonly status?: JobStatus;
  readonly pods?: string;
  readonly want: string;
}

/**
 * What kube-controller-manager's syncJob does to a Job in one go, which here are two passes, in words: the status that notes what
 * ended, and, when the finalizers are gone, the one that has counted it. A parallelism of 2 and a backoffLimit of 6 where a row has
 * no other.
 */
export function passes(
  { spec, status, pods = '', isDeleting }: Row,
  { withReasons = false }: { readonly withReasons?: boolean } = {},
): string {
  const job: Job = {
    metadata: { name: 'job', ...(isDeleting === true ? { deletionTimestamp: longAgo } : {}) },
    spec: { parallelism: 2, backoffLimit: 6, template: {}, ...spec },
    ...(status === undefined ? {} : { status }),
  };
  const before = podsOf(pods);
  const plan = planJob({ job, pods: before, deletedUids: new Set(), nowMs });
  const [released, deleted] = [new Set(plan.releasePods), new Set(plan.deletePods)];
  const after = before.map((pod) => ({
    ...pod,
    metadata: {
      ...pod.metadata,
      ...(released.has(pod) ? { finalizers: [] } : {}),
      ...(deleted.has(pod) ? { deletionTimestamp: longAgo } : {}),
    },
  }));
  const next = planJob({ job: { ...job, status: plan.status }, pods: after, deletedUids: new Set(), nowMs });
  const {
    active,
    ready,
    terminating,
    succeeded,
    failed,
    completedIndexes,
    failedIndexes,
    conditions = [],
  } = next.status;
  const indexes = plan.createPods.flatMap(({ index }) => (index === undefined ? [] : [index]));
  const words = {
    create: indexes.length > 0 ? indexes.join(' ') : plan.createPods.length,
    delete: plan.deletePods.length,
    active,
    ready,
    terminating,
    succeeded,
    failed,
    indexes: completedIndexes,
    lost: failedIndexes === '' ? undefined : failedIndexes,
    release: released.size,
  };
  const told = Object.entries(words).filter(([, value]) => value !== 0 && value !== undefined);
  return [
    ...told.map(([key, value]) => `${key} ${value}`),
    ...conditions.map(({ type, status: is, reason }) => `${type}=${is}${withReasons ? ` ${reason}` : ''}`),
  ].join(', ');
}
