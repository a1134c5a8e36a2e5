import { expect, it } from 'vitest';
import type { JobStatus, Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { endedMs } from './backoff.ts';
import { tally, trackingFinalizer } from './count.ts';
import { indexAnnotation } from './indexes.ts';
import { longAgo, nowMs, passes, type Row } from './rounds.fixture.ts';

const indexed = { completionMode: 'Indexed' } as const;
const onlyFailed = { podReplacementPolicy: 'Failed' } as const;
const manual = (type: string): JobStatus => ({
  startTime: longAgo,
  conditions: [{ type, status: 'False', reason: 'Manual' }],
});

const rows: readonly Row[] = [
  { name: 'start', spec: { completions: 5 }, want: 'create 2' },
  { name: 'start of a queue', spec: {}, want: 'create 2' },
  { name: 'pods that are pending', spec: { completions: 5 }, pods: 'P P', want: 'active 2' },
  {
    name: 'as many as there are to be',
    spec: { completions: 5, parallelism: 3 },
    pods: 'Rr Rr R',
    want: 'active 3, ready 2',
  },
  {
    name: 'too few',
    spec: { completions: 5 },
    pods: 'R S',
    want: 'create 1, active 1, succeeded 1, release 1',
  },
  {
    name: 'a queue: only a pod that has failed is replaced',
    spec: { parallelism: 1, ...onlyFailed },
    pods: 'R F T',
    want: 'active 1, terminating 1, failed 1, release 1',
  },
  {
    name: 'a queue: one that is going has failed',
    spec: { parallelism: 1 },
    pods: 'R F T',
    want: 'active 1, terminating 1, failed 2, release 2',
  },
  {
    name: 'more that are going than may run',
    spec: { completions: 1, parallelism: 1, ...onlyFailed },
    pods: 'R R T T T T',
    want: 'delete 1, active 1, terminating 5, release 1',
  },
  {
    name: 'more that are going than may run, under a podFailurePolicy',
    spec: { completions: 1, parallelism: 1, podFailurePolicy: { rules: [] } },
    pods: 'R R T T T T',
    want: 'delete 1, active 1, terminating 5, release 1',
  },
  {
    name: 'too many',
    spec: { completions: 5 },
    pods: 'R R R',
    want: 'delete 1, active 2, terminating 1, release 1',
  },
  {
    name: 'too many that are ready',
    spec: { completions: 5 },
    pods: 'Rr Rr Rr',
    want: 'delete 1, active 2, ready 2, terminating 1, release 1',
  },
  {
    name: 'one succeeded, one failed',
    spec: { completions: 5 },
    pods: 'R S F',
    want: 'create 1, active 1, succeeded 1, failed 1, release 2',
  },
  {
    name: 'one failed',
    spec: { completions: 5 },
    pods: 'R F',
    want: 'create 1, active 1, failed 1, release 1',
  },
  {
    name: 'finish',
    spec: { completions: 5 },
    pods: 'S S S S S',
    want: 'succeeded 5, release 5, SuccessCriteriaMet=True, Complete=True',
  },
  { name: 'a queue that finishes', spec: {}, pods: 'R S', want: 'active 1, succeeded 1, release 1' },
  {
    name: 'a queue that is done, despite a failure',
    spec: {},
    pods: 'S F',
    want: 'succeeded 1, failed 1, release 2, SuccessCriteriaMet=True, Complete=True',
  },
  {
    name: 'more than there is left to do',
    spec: { completions: 4, parallelism: 3 },
    pods: 'R R R S S',
    want: 'delete 1, active 2, terminating 1, succeeded 2, release 3',
  },
  {
    name: 'more than may be deleted at once',
    spec: { completions: 5, parallelism: 0 },
    pods: Array.from({ length: 501 }, () => 'R').join(' '),
    want: 'delete 500, terminating 501, release 500',
  },
  {
    name: 'being deleted: nothing is made, all is let go, and what ended is counted',
    isDeleting: true,
    spec: { completions: 5 },
    pods: 'P R S',
    want: 'active 2, succeeded 1, release 3',
  },
  {
    name: 'being deleted, with too many failures',
    isDeleting: true,
    spec: { completions: 5, backoffLimit: 0 },
    pods: 'F',
    want: 'failed 1, release 1, FailureTarget=True, Failed=True',
  },
  {
    name: 'being deleted while it is suspended: the pods stay',
    isDeleting: true,
    spec: { completions: 4, suspend: true },
    pods: 'R R',
    want: 'active 2, release 2',
  },
  { name: 'Indexed: start', spec: { ...indexed, completions: 5 }, want: 'create 0 1' },
  {
    name: 'Indexed: a pod that is going has to be Failed',
    spec: { ...indexed, completions: 5, ...onlyFailed },
    pods: 'T',
    want: 'create 0, terminating 1',
  },
  {
    name: 'Indexed: a pod that is going is replaced',
    spec: { ...indexed, completions: 5 },
    pods: 'T',
    want: 'create 0 1, terminating 1, release 1',
  },
  {
    name: 'Indexed: done',
    spec: { ...indexed, completions: 3 },
    pods: '0:S 1:F 1:S 2:S',
    want: 'succeeded 3, failed 1, indexes 0-2, release 4, SuccessCriteriaMet=True, Complete=True',
  },
  {
    name: 'Indexed: failed',
    spec: { ...indexed, completions: 3, backoffLimit: 0 },
    pods: '0:S 1:F 2:R',
    want: 'delete 1, terminating 1, succeeded 1, failed 2, indexes 0, release 3, FailureTarget=True',
  },
  {
    name: 'Indexed: an index that is done twice',
    spec: { ...indexed, completions: 3 },
    pods: '0:S 1:S 1:S',
    want: 'create 2, succeeded 2, indexes 0,1, release 3',
  },
  {
    name: 'Indexed: some run, some are done',
    spec: { ...indexed, completions: 20, parallelism: 8 },
    pods: '0:R 2:S 3:P 4:S 5:S 7:S 8:S 9:S',
    want: 'create 1 6 10 11 12 13, active 2, succeeded 6, indexes 2,4,5,7-9, release 6',
  },
  {
    name: 'Indexed: some failed',
    spec: { ...indexed, completions: 4, parallelism: 3 },
    pods: '0:F 1:P 2:F',
    want: 'create 0 2, active 1, failed 2, release 2',
  },
  {
    name: 'Indexed: pods without an index',
    spec: { ...indexed, completions: 5 },
    pods: 'R S F x:R x:S x:F x:P 0:S 1:R 2:R',
    want: 'delete 3, active 2, terminating 3, succeeded 1, indexes 0, release 8',
  },
  {
    name: 'Indexed: indexes that are there twice',
    spec: { ...indexed, completions: 5, parallelism: 5 },
    pods: 'S F x:R 0:S 1:R 2:R 2:P',
    want: 'delete 2, active 2, terminating 2, succeeded 1, indexes 0, release 5',
  },
  {
    name: 'Indexed: indexes beyond the completions',
    spec: { ...indexed, completions: 5 },
    pods: '0:S 5:R 6:S 7:P 8:F',
    want: 'delete 2, terminating 2, succeeded 1, indexes 0, release 5',
  },
  {
    name: 'Indexed: no more are let go at once than noted',
    spec: { ...indexed, completions: 501 },
    pods: Array.from({ length: 501 }, (_, index) => `${index}:S`).join(' '),
    want: 'succeeded 501, indexes 0-500, release 500, SuccessCriteriaMet=True',
  },
  {
    name: 'suspended',
    spec: { completions: 4, suspend: true },
    pods: 'Rr Rr',
    want: 'delete 2, terminating 2, release 2, Suspended=True',
  },
  {
    name: 'a FailureTarget that somebody wrote, and is false',
    spec: { completions: 1, parallelism: 1 },
    status: manual('FailureTarget'),
    pods: 'Rr',
    want: 'active 1, ready 1, FailureTarget=False',
  },
  {
    name: 'a SuccessCriteriaMet that somebody wrote, and is false',
    spec: { completions: 1, parallelism: 1 },
    status: manual('SuccessCriteriaMet'),
    pods: 'Rr',
    want: 'active 1, ready 1, SuccessCriteriaMet=False',
  },
  {
    name: 'a pod that was noted as failed and then succeeded has failed',
    spec: { completions: 2 },
    status: { uncountedTerminatedPods: { failed: ['pod-0', 'pod-1'] } },
    pods: 'F S',
    want: 'create 2, failed 2, release 2',
  },
  {
    name: 'its deadline comes before its pod ends',
    spec: { completions: 1, parallelism: 1, activeDeadlineSeconds: 10 },
    status: { startTime: formatTime(nowMs - 15_000) },
    pods: 'R',
    want: 'delete 1, terminating 1, failed 1, release 1, FailureTarget=True',
  },
  {
    name: 'its deadline comes after one of its pods',
    spec: { completions: 2, parallelism: 1, activeDeadlineSeconds: 10 },
    status: { startTime: formatTime(nowMs - 15_000) },
    pods: 'R S',
    want: 'delete 1, terminating 1, succeeded 1, failed 1, release 2, FailureTarget=True',
  },
  {
    name: 'its deadline comes before any pod',
    spec: { completions: 1, activeDeadlineSeconds: 10 },
    status: { startTime: formatTime(nowMs - 10_000) },
    want: 'FailureTarget=True, Failed=True',
  },
  {
    name: 'its deadline does not come while it is suspended',
    spec: { completions: 2, activeDeadlineSeconds: 10, suspend: true },
    status: { startTime: formatTime(nowMs - 15_000) },
    want: 'Suspended=True',
  },
  {
    name: 'one failure of one that may be',
    spec: { completions: 1, backoffLimit: 1 },
    pods: 'F',
    want: 'create 1, failed 1, release 1',
  },
  {
    name: 'two failures of one that may be',
    spec: { completions: 1, backoffLimit: 1 },
    pods: 'F F',
    want: 'failed 2, release 2, FailureTarget=True, Failed=True',
  },
  {
    name: 'six failures of six that may be',
    spec: { completions: 2 },
    pods: 'R F F F F F F',
    want: 'create 1, active 1, failed 6, release 6',
  },
  {
    name: 'seven failures of six that may be',
    spec: { completions: 2 },
    pods: 'F F F F F F F',
    want: 'failed 7, release 7, FailureTarget=True, Failed=True',
  },
];

it.each(rows)('a Job: $name', (row) => {
  expect(passes(row)).toBe(row.want);
});

const at = (seconds: number): string => formatTime(nowMs + seconds * 1000);
const ended = (seconds?: number) => ({
  name: 'c',
  image: '',
  imageID: '',
  ready: false,
  restartCount: 0,
  state: seconds === undefined ? { running: {} } : { terminated: { exitCode: 1, finishedAt: at(seconds) } },
});
const ends: readonly { readonly name: string; readonly pod: Pod; readonly want: number }[] = [
  {
    name: 'the last container',
    pod: { status: { containerStatuses: [ended(-1), ended(0), ended(-2)] } },
    want: 0,
  },
  {
    name: 'not while one runs: its deletion',
    pod: {
      metadata: { deletionTimestamp: at(0) },
      status: { containerStatuses: [ended(-1), ended(), ended(-2)] },
    },
    want: 0,
  },
  {
    name: 'its deletion, without the grace that it had',
    pod: {
      metadata: { deletionTimestamp: at(0), deletionGracePeriodSeconds: 30 },
      status: { containerStatuses: [ended()] },
    },
    want: -30,
  },
  {
    name: 'when it was ready no more',
    pod: { status: { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: at(-5) }] } },
    want: -5,
  },
  {
    name: 'not since when it is ready',
    pod: {
      metadata: { deletionTimestamp: at(0) },
      status: { conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(-30) }] },
    },
    want: 0,
  },
  { name: 'when it was made', pod: { metadata: { creationTimestamp: at(-7) } }, want: -7 },
  {
    name: 'a sidecar, which ends later',
    pod: { status: { containerStatuses: [ended(-1)], initContainerStatuses: [ended(0)] } },
    want: 0,
  },
];

it.each(ends)('endedMs() $name', ({ pod, want }) => {
  expect((endedMs(pod) - nowMs) / 1000).toBe(want);
});

const failureCount = 'batch.kubernetes.io/job-index-failure-count';

function failedPod(uid: string, count: string, change: Pod['metadata'] = {}): Pod {
  const annotations = { [indexAnnotation]: '0', [failureCount]: count };
  return {
    metadata: { uid, annotations, finalizers: [trackingFinalizer], ...change },
    status: { phase: 'Failed' },
  };
}

const replacements: readonly {
  readonly name: string;
  readonly pods: readonly Pod[];
  readonly want: string | undefined;
}[] = [
  {
    name: 'the one with the most failures',
    pods: [failedPod('a', '0'), failedPod('c', '2'), failedPod('b', '1')],
    want: 'c',
  },
  {
    name: 'of as many failures the last that ended',
    pods: [
      failedPod('a', '1', { deletionTimestamp: at(-1) }),
      failedPod('c', '1', { deletionTimestamp: at(0) }),
      failedPod('b', '1', { deletionTimestamp: at(-2) }),
    ],
    want: 'c',
  },
  { name: 'none whose finalizer is gone', pods: [failedPod('a', '0', { finalizers: [] })], want: undefined },
  {
    name: 'none while one of the index is active',
    pods: [failedPod('a', '0'), { ...failedPod('b', '1'), status: { phase: 'Running' } }],
    want: undefined,
  },
  {
    name: 'counts that no controller wrote are none',
    pods: [failedPod('a', '-7'), failedPod('b', '2147483648'), failedPod('c', '1e1'), failedPod('d', 'x')],
    want: 'd',
  },
];

it.each(replacements)('the failed pod that is replaced: $name', ({ pods, want }) => {
  const spec = { ...indexed, completions: 2, backoffLimitPerIndex: 4, template: {} };
  const { replaced, failedIndexes } = tally({ spec }, pods);
  expect([replaced.get(0)?.metadata?.uid, [...failedIndexes]]).toEqual([want, []]);
});

it('an index of a pod that was counted is not done again when a Job has been made smaller and larger since', () => {
  const counted: Pod = {
    metadata: { annotations: { [indexAnnotation]: '1' } },
    status: { phase: 'Succeeded' },
  };
  const job = { spec: { ...indexed, completions: 2, template: {} }, status: { completedIndexes: '0' } };
  expect([...tally(job, [counted]).succeededIndexes]).toEqual([0]);
});
