import { expect, it } from 'vitest';
import type { Job, JobSpec, JobStatus, Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { trackingFinalizer } from './count.ts';
import { indexAnnotation } from './indexes.ts';
import { planJob, type JobPlan } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2);
const startTime = formatTime(nowMs - 1000);
const indexed = { completionMode: 'Indexed' as const };
const perIndex = { ...indexed, backoffLimit: 2_147_483_647, backoffLimitPerIndex: 1 };
const disrupted = [{ type: 'DisruptionTarget', status: 'True' }];

function job(spec: Partial<JobSpec>, status: JobStatus = {}): Job {
  const template = { spec: { containers: [], restartPolicy: 'Never' as const } };
  return {
    metadata: { name: 'job', namespace: 'default', uid: 'job' },
    spec: { parallelism: 2, completions: 4, backoffLimit: 2, template, ...spec },
    status: { startTime, ...status },
  };
}

interface PodChange {
  readonly index?: number;
  readonly exitCode?: number;
  readonly isGoing?: boolean;
  readonly isReleased?: boolean;
  readonly failures?: number;
  readonly endedSecondsAgo?: number;
  readonly conditions?: NonNullable<Pod['status']>['conditions'];
  readonly restarts?: number;
}

function pod(
  name: string,
  phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed',
  change: PodChange = {},
): Pod {
  const {
    index,
    exitCode = phase === 'Failed' ? 1 : 0,
    isGoing,
    isReleased,
    failures,
    restarts = 0,
  } = change;
  const finishedAt = formatTime(nowMs - (change.endedSecondsAgo ?? 3600) * 1000);
  const isOver = phase === 'Succeeded' || phase === 'Failed';
  const state = isOver ? { terminated: { exitCode, finishedAt } } : { running: {} };
  const basic = { image: 'i', imageID: '', ready: false, restartCount: restarts };
  return {
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      creationTimestamp: startTime,
      ...(isReleased === true ? {} : { finalizers: [trackingFinalizer] }),
      ...(isGoing === true ? { deletionTimestamp: startTime } : {}),
      annotations: {
        ...(index === undefined ? {} : { [indexAnnotation]: String(index) }),
        ...(failures === undefined
          ? {}
          : { 'batch.kubernetes.io/job-index-failure-count': String(failures) }),
      },
    },
    status: { phase, containerStatuses: [{ ...basic, name: 'main', state }], conditions: change.conditions },
  };
}

/** The plan in few words. */
function told({ status, createPods, deletePods, releasePods, againMs }: JobPlan) {
  const names = (pods: readonly Pod[]): string => pods.map(({ metadata }) => metadata?.name).join(' ');
  const entries = {
    conditions: (status.conditions ?? [])
      .map(({ type, status: is, reason }) => `${type}=${is} ${reason ?? ''}`)
      .join(', '),
    uncounted: [
      ...(status.uncountedTerminatedPods?.succeeded ?? []),
      ...(status.uncountedTerminatedPods?.failed ?? []).map((uid) => `!${uid}`),
    ].join(' '),
    create: createPods
      .map(
        ({ index, annotations }) =>
          `${index ?? '?'}${Object.values(annotations)
            .map((count) => `:${count}`)
            .join('')}`,
      )
      .join(' '),
    delete: names(deletePods),
    release: names(releasePods),
    active: status.active,
    terminating: status.terminating,
    succeeded: status.succeeded,
    failed: status.failed,
    completedIndexes: status.completedIndexes,
    failedIndexes: status.failedIndexes,
    againMs,
  };
  return Object.fromEntries(
    Object.entries(entries).filter(([, value]) => value !== undefined && value !== '' && value !== 0),
  );
}

const failJob = {
  rules: [{ action: 'FailJob' as const, onExitCodes: { operator: 'In' as const, values: [42] } }],
};
const ignoring = {
  rules: [{ action: 'Ignore' as const, onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
};
const target = (type: string, reason: string) => ({ conditions: [{ type, status: 'True', reason }] });

const rows: readonly {
  readonly name: string;
  readonly spec?: Partial<JobSpec>;
  readonly status?: JobStatus;
  readonly pods?: readonly Pod[];
  readonly deleted?: readonly string[];
  readonly want: Readonly<Record<string, string | number>>;
}[] = [
  { name: 'starts as many pods as may run at once', want: { create: '? ?' } },
  {
    name: 'starts no more than there is left to do',
    spec: { parallelism: 9 },
    status: { succeeded: 1 },
    want: { succeeded: 1, create: '? ? ?' },
  },
  {
    name: 'notes a finished pod before its finalizer goes',
    pods: [pod('a', 'Succeeded'), pod('b', 'Running')],
    want: { uncounted: 'a', release: 'a', active: 1, create: '?' },
  },
  {
    name: 'counts a noted pod whose finalizer is gone, though the pod is gone too',
    status: { uncountedTerminatedPods: { succeeded: ['a'], failed: ['b'] }, failed: 1 },
    pods: [pod('a', 'Succeeded', { isReleased: true })],
    want: { succeeded: 1, failed: 2, create: '? ?' },
  },
  {
    name: 'keeps a pod noted while its finalizer is there',
    status: { uncountedTerminatedPods: { succeeded: ['a'] } },
    pods: [pod('a', 'Succeeded'), pod('b', 'Running'), pod('c', 'Running')],
    want: { uncounted: 'a', release: 'a', active: 2 },
  },
  {
    name: 'decides when the last pod is done, and tells once it is counted',
    status: { succeeded: 3 },
    pods: [pod('a', 'Succeeded')],
    want: {
      conditions: 'SuccessCriteriaMet=True CompletionsReached',
      uncounted: 'a',
      release: 'a',
      succeeded: 3,
    },
  },
  {
    name: 'tells the end when every pod is counted',
    status: {
      succeeded: 3,
      uncountedTerminatedPods: { succeeded: ['a'] },
      ...target('SuccessCriteriaMet', 'R'),
    },
    want: { conditions: 'SuccessCriteriaMet=True R, Complete=True R', succeeded: 4 },
  },
  {
    name: 'waits after a failure, twice as long after the second',
    status: { failed: 1, uncountedTerminatedPods: {} },
    pods: [
      pod('a', 'Failed', { isReleased: true, endedSecondsAgo: 5 }),
      pod('b', 'Failed', { isReleased: true, endedSecondsAgo: 3 }),
    ],
    want: { failed: 1, againMs: 17_000 },
  },
  {
    name: 'does not wait for failures before the last success',
    pods: [
      pod('a', 'Failed', { isReleased: true, endedSecondsAgo: 5 }),
      pod('b', 'Succeeded', { isReleased: true, endedSecondsAgo: 3 }),
    ],
    want: { create: '? ?' },
  },
  {
    name: 'fails beyond its backoffLimit: the pods that run count as failed and go',
    spec: { backoffLimit: 0 },
    pods: [pod('a', 'Failed'), pod('b', 'Running')],
    want: {
      conditions: 'FailureTarget=True BackoffLimitExceeded',
      uncounted: '!a !b',
      release: 'a b',
      delete: 'b',
      terminating: 1,
    },
  },
  {
    name: 'tells no end while a pod is still going',
    status: { failed: 2, ...target('FailureTarget', 'R') },
    pods: [pod('b', 'Running', { isGoing: true, isReleased: true })],
    want: { conditions: 'FailureTarget=True R', failed: 2, terminating: 1 },
  },
  {
    name: 'tells the failure when all is gone',
    status: { failed: 2, ...target('FailureTarget', 'R') },
    want: { conditions: 'FailureTarget=True R, Failed=True R', failed: 2 },
  },
  {
    name: 'counts restarts of containers against the limit',
    spec: { template: { spec: { containers: [], restartPolicy: 'OnFailure' } } },
    pods: [pod('a', 'Running', { restarts: 2 }), pod('b', 'Pending')],
    want: {
      conditions: 'FailureTarget=True BackoffLimitExceeded',
      uncounted: '!a !b',
      release: 'a b',
      delete: 'a b',
      terminating: 2,
    },
  },
  {
    name: 'fails at its deadline',
    spec: { activeDeadlineSeconds: 1 },
    want: { conditions: 'FailureTarget=True DeadlineExceeded, Failed=True DeadlineExceeded' },
  },
  {
    name: 'looks again at its deadline',
    spec: { activeDeadlineSeconds: 61 },
    want: { create: '? ?', againMs: 60_000 },
  },
  {
    name: 'is suspended: the pods go and do not count',
    spec: { suspend: true, activeDeadlineSeconds: 1 },
    pods: [pod('a', 'Running')],
    want: { conditions: 'Suspended=True JobSuspended', release: 'a', delete: 'a', terminating: 1 },
  },
  {
    name: 'is resumed',
    status: { conditions: [{ type: 'Suspended', status: 'True', reason: 'JobSuspended' }] },
    want: { conditions: 'Suspended=False JobResumed', create: '? ?' },
  },
  {
    name: 'scales down',
    spec: { parallelism: 1 },
    pods: [pod('a', 'Running'), pod('b', 'Pending')],
    want: { release: 'b', delete: 'b', active: 1, terminating: 1 },
  },
  {
    name: 'counts a terminating pod as failed at once, and waits before it is replaced',
    pods: [pod('a', 'Running', { isGoing: true }), pod('b', 'Running')],
    spec: { podReplacementPolicy: 'TerminatingOrFailed' },
    want: { uncounted: '!a', release: 'a', active: 1, terminating: 1, againMs: 9000 },
  },
  {
    name: 'replaces a terminating pod only once it is Failed',
    pods: [pod('a', 'Running', { isGoing: true }), pod('b', 'Running')],
    spec: { podReplacementPolicy: 'Failed' },
    want: { active: 1, terminating: 1 },
  },
  {
    name: 'a pod that was asked to go counts as going',
    pods: [pod('a', 'Running', { isReleased: true }), pod('b', 'Running')],
    deleted: ['a'],
    spec: { parallelism: 1 },
    want: { active: 1, terminating: 1 },
  },
  {
    name: 'podFailurePolicy: FailJob ends it at the first such exit code',
    spec: { podFailurePolicy: failJob },
    pods: [pod('a', 'Failed', { exitCode: 42 }), pod('b', 'Running')],
    want: {
      conditions: 'FailureTarget=True PodFailurePolicy',
      uncounted: '!a !b',
      release: 'a b',
      delete: 'b',
      terminating: 1,
    },
  },
  {
    name: 'podFailurePolicy: Ignore does not count the failure',
    spec: { podFailurePolicy: ignoring, backoffLimit: 0 },
    pods: [pod('a', 'Failed', { conditions: disrupted }), pod('b', 'Running')],
    want: { release: 'a', active: 1, create: '?' },
  },
  {
    name: 'successPolicy: ends with what is done, and the others go uncounted',
    spec: { ...indexed, successPolicy: { rules: [{ succeededIndexes: '0' }] } },
    pods: [pod('a', 'Succeeded', { index: 0 }), pod('b', 'Running', { index: 1 })],
    want: {
      conditions: 'SuccessCriteriaMet=True SuccessPolicy',
      release: 'a b',
      delete: 'b',
      terminating: 1,
      succeeded: 1,
      completedIndexes: '0',
    },
  },
  {
    name: 'Indexed: the free indexes, lowest first',
    spec: indexed,
    status: { completedIndexes: '0' },
    pods: [pod('a', 'Running', { index: 2 })],
    want: { create: '1', active: 1, succeeded: 1, completedIndexes: '0' },
  },
  {
    name: 'Indexed: a second pod of an index goes',
    spec: indexed,
    pods: [pod('a', 'Running', { index: 1 }), pod('b', 'Pending', { index: 1 })],
    want: { release: 'b', delete: 'b', active: 1, terminating: 1 },
  },
  {
    name: 'Indexed: an index whose pod is going stays taken with podReplacementPolicy Failed',
    spec: { ...indexed, podReplacementPolicy: 'Failed' },
    pods: [pod('a', 'Running', { index: 0, isGoing: true })],
    want: { create: '1', terminating: 1 },
  },
  {
    name: 'Indexed: completions may shrink below what was done',
    spec: { ...indexed, completions: 2 },
    status: { completedIndexes: '0-3', succeeded: 4 },
    want: {
      conditions: 'SuccessCriteriaMet=True CompletionsReached, Complete=True CompletionsReached',
      succeeded: 2,
      completedIndexes: '0,1',
    },
  },
  {
    name: 'backoffLimitPerIndex: the failed pod stays until its replacement carries the count',
    spec: perIndex,
    pods: [pod('a', 'Failed', { index: 0, failures: 0 }), pod('b', 'Running', { index: 1 })],
    want: { create: '0:1', active: 1 },
  },
  {
    name: 'backoffLimitPerIndex: one index waits, the others do not',
    spec: perIndex,
    pods: [pod('a', 'Failed', { index: 0, failures: 0, endedSecondsAgo: 4 })],
    want: { create: '1:0', againMs: 6000 },
  },
  {
    name: 'backoffLimitPerIndex: a replaced pod is counted',
    spec: perIndex,
    pods: [
      pod('a', 'Failed', { index: 0 }),
      pod('b', 'Running', { index: 0, failures: 1 }),
      pod('c', 'Running', { index: 1 }),
    ],
    want: { uncounted: '!a', release: 'a', active: 2 },
  },
  {
    name: 'backoffLimitPerIndex: an index is given up',
    spec: perIndex,
    pods: [pod('a', 'Failed', { index: 0, failures: 1 }), pod('b', 'Running', { index: 1 })],
    want: { uncounted: '!a', release: 'a', failedIndexes: '0', active: 1, create: '2:0' },
  },
  {
    name: 'backoffLimitPerIndex: FailIndex gives it up at once',
    spec: { ...perIndex, podFailurePolicy: { rules: [{ ...failJob.rules[0], action: 'FailIndex' }] } },
    pods: [pod('a', 'Failed', { index: 0, exitCode: 42 }), pod('b', 'Running', { index: 1 })],
    want: { uncounted: '!a', release: 'a', failedIndexes: '0', active: 1, create: '2:0' },
  },
  {
    name: 'backoffLimitPerIndex: fails when every index is done or given up',
    spec: { ...perIndex, completions: 2 },
    status: { failedIndexes: '1', completedIndexes: '0', failed: 2 },
    want: {
      conditions: 'FailureTarget=True FailedIndexes, Failed=True FailedIndexes',
      succeeded: 1,
      failed: 2,
      completedIndexes: '0',
      failedIndexes: '1',
    },
  },
  {
    name: 'maxFailedIndexes: fails when too many are given up',
    spec: { ...perIndex, maxFailedIndexes: 0 },
    status: { failedIndexes: '1', failed: 2 },
    want: {
      conditions: 'FailureTarget=True MaxFailedIndexesExceeded, Failed=True MaxFailedIndexesExceeded',
      failed: 2,
      failedIndexes: '1',
    },
  },
  {
    name: 'after its end it only cleans up',
    spec: { ttlSecondsAfterFinished: 10 },
    status: {
      succeeded: 4,
      conditions: [{ type: 'Complete', status: 'True', lastTransitionTime: startTime }],
    },
    pods: [pod('a', 'Succeeded'), pod('b', 'Running')],
    want: { conditions: 'Complete=True ', release: 'a b', delete: 'b', succeeded: 4 },
  },
];

it.each(rows)('planJob() $name', ({ spec = {}, status, pods = [], deleted = [], want }) => {
  const plan = planJob({ job: job(spec, status), pods, deletedUids: new Set(deleted), nowMs });
  expect(told(plan)).toEqual(want);
});

it('planJob() starts the clock of a Job that is resumed anew', () => {
  const state = { pods: [], deletedUids: new Set<string>(), nowMs };
  const paused = planJob({ ...state, job: job({ suspend: true }) });
  expect(paused.status.startTime).toBeUndefined();
  const resumed = planJob({ ...state, job: { ...job({}), status: paused.status } });
  expect(resumed.status.startTime).toBe(formatTime(nowMs));
});
