import { expect, it } from 'vitest';
import type { JobStatus } from '#api/generated/objects.ts';
import { longAgo, passes, type Row } from './rounds.fixture.ts';

const indexed = { completionMode: 'Indexed' } as const;
const unlimited = { ...indexed, backoffLimit: 2_147_483_647 };
const two = { ...unlimited, completions: 2 };
const perIndex = { ...two, backoffLimitPerIndex: 1 };
const oneOfTwo = { successPolicy: { rules: [{ succeededIndexes: '0,1', succeededCount: 1 }] } };
const onDisruption = [{ type: 'DisruptionTarget', status: 'True' as const }];
const exits = (action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count', ...values: readonly number[]) => ({
  action,
  onExitCodes: { operator: 'In' as const, values },
});
const policy = (...rules: readonly ReturnType<typeof exits>[]) => ({ podFailurePolicy: { rules } });
const failsDisrupted = {
  podFailurePolicy: { rules: [{ action: 'FailJob' as const, onPodConditions: onDisruption }] },
};
const ignoresDisrupted = {
  podFailurePolicy: { rules: [{ action: 'Ignore' as const, onPodConditions: onDisruption }] },
};
const decided = (type: string, status: JobStatus = {}): JobStatus => ({
  startTime: longAgo,
  conditions: [{ type, status: 'True', reason: 'Decided' }],
  ...status,
});
const onFailure = { template: { spec: { containers: [], restartPolicy: 'OnFailure' as const } } };

/** What job_controller_test.go of Kubernetes has of policies, of limits, and of Jobs that end while they are suspended. */
const rows: readonly Row[] = [
  {
    name: 'podFailurePolicy: a code that no rule names',
    spec: { completions: 1, parallelism: 1, ...policy(exits('Ignore', 1, 2, 3), exits('FailJob', 5, 6, 7)) },
    pods: 'F!42',
    want: 'create 1, failed 1, release 1',
  },
  {
    name: 'podFailurePolicy: a pod that runs does not fail the Job',
    spec: { completions: 1, parallelism: 1, ...policy(exits('FailJob', 5)) },
    pods: 'R!5',
    want: 'active 1',
  },
  {
    name: 'podFailurePolicy: FailJob',
    spec: { completions: 1, parallelism: 1, ...policy(exits('Ignore', 1, 2, 3), exits('FailJob', 5, 6, 7)) },
    pods: 'F!5',
    want: 'failed 1, release 1, FailureTarget=True PodFailurePolicy, Failed=True PodFailurePolicy',
  },
  {
    name: 'podFailurePolicy: FailJob of several pods',
    spec: { completions: 2, ...policy(exits('FailJob', 5)) },
    pods: 'R F!5',
    want: 'delete 1, terminating 1, failed 2, release 2, FailureTarget=True PodFailurePolicy',
  },
  {
    name: 'podFailurePolicy: FailJob of an index',
    spec: { ...indexed, completions: 1, parallelism: 1, ...policy(exits('FailJob', 5)) },
    pods: '0:F!5',
    want: 'failed 1, release 1, FailureTarget=True PodFailurePolicy, Failed=True PodFailurePolicy',
  },
  {
    name: 'podFailurePolicy: as it was decided by a pod that is gone',
    spec: { completions: 1, parallelism: 1, ...policy(exits('FailJob', 5)) },
    status: decided('FailureTarget'),
    pods: 'F!5',
    want: 'failed 1, release 1, FailureTarget=True Decided, Failed=True Decided',
  },
  {
    name: 'podFailurePolicy: Ignore',
    spec: { completions: 1, parallelism: 1, backoffLimit: 0, ...policy(exits('Ignore', 1)) },
    pods: 'F!1',
    want: 'create 1, release 1',
  },
  {
    name: 'podFailurePolicy: what is not ignored counts',
    spec: { completions: 1, parallelism: 1, backoffLimit: 0, ...policy(exits('Ignore', 1)) },
    pods: 'F!10',
    want: 'failed 1, release 1, FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded',
  },
  {
    name: 'podFailurePolicy: Count before Ignore',
    spec: { completions: 1, parallelism: 1, ...policy(exits('Count', 1, 2), exits('Ignore', 2, 3)) },
    pods: 'F!2',
    want: 'create 1, failed 1, release 1',
  },
  {
    name: 'podFailurePolicy: Ignore of a condition',
    spec: { completions: 1, parallelism: 1, backoffLimit: 0, ...ignoresDisrupted },
    pods: 'Fd',
    want: 'create 1, release 1',
  },
  {
    name: 'podFailurePolicy: FailJob of a condition',
    spec: { completions: 1, parallelism: 1, ...failsDisrupted },
    pods: 'Fd',
    want: 'failed 1, release 1, FailureTarget=True PodFailurePolicy, Failed=True PodFailurePolicy',
  },
  {
    name: 'successPolicy: while others run and have failed',
    spec: { ...unlimited, completions: 3, parallelism: 3, ...oneOfTwo },
    pods: '0:F 0:R 1:S 2:R',
    want: 'delete 2, terminating 2, succeeded 1, failed 1, indexes 1, release 4, SuccessCriteriaMet=True SuccessPolicy',
  },
  {
    name: 'successPolicy: beside a podFailurePolicy that says nothing',
    spec: { ...two, ...oneOfTwo, ...failsDisrupted },
    pods: '0:F 0:R 1:S',
    want: 'delete 1, terminating 1, succeeded 1, failed 1, indexes 1, release 3, SuccessCriteriaMet=True SuccessPolicy',
  },
  {
    name: 'successPolicy: with a limit of each index',
    spec: { ...two, backoffLimitPerIndex: 2, ...oneOfTwo },
    pods: '0:F 0:R 1:S',
    want: 'delete 1, terminating 1, succeeded 1, failed 1, indexes 1, release 3, SuccessCriteriaMet=True SuccessPolicy',
  },
  {
    name: 'successPolicy: decided, and all has ended',
    spec: { ...two, backoffLimitPerIndex: 2, ...oneOfTwo },
    status: decided('SuccessCriteriaMet'),
    pods: '0:F 1:S',
    want: 'succeeded 1, failed 1, indexes 1, release 2, SuccessCriteriaMet=True Decided, Complete=True Decided',
  },
  {
    name: 'successPolicy: decided, and some still run: kubernetes/kubernetes#123775',
    spec: { ...unlimited, completions: 3, parallelism: 3, backoffLimitPerIndex: 3, ...oneOfTwo },
    status: decided('SuccessCriteriaMet'),
    pods: '0:F 1:R 1:S 2:R',
    want: 'delete 2, terminating 2, succeeded 1, failed 1, indexes 1, release 4, SuccessCriteriaMet=True Decided',
  },
  {
    name: 'successPolicy: a podFailurePolicy that fails the Job comes first',
    spec: { ...two, ...oneOfTwo, ...failsDisrupted },
    pods: '0:Fd 0:R 1:S',
    want: 'delete 1, terminating 1, succeeded 1, failed 2, indexes 1, release 3, FailureTarget=True PodFailurePolicy',
  },
  {
    name: 'successPolicy: so does an index that is given up',
    spec: { ...perIndex, ...oneOfTwo },
    pods: '0:F/1 1:S',
    want: 'succeeded 1, failed 1, indexes 1, lost 0, release 2, FailureTarget=True FailedIndexes, Failed=True FailedIndexes',
  },
  {
    name: 'successPolicy: and a limit of failures',
    spec: { ...two, ...oneOfTwo, backoffLimit: 1 },
    pods: '0:F 0:F 1:S',
    want: 'succeeded 1, failed 2, indexes 1, release 3, FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded',
  },
  {
    name: 'successPolicy: what is decided stays, whatever a podFailurePolicy says',
    spec: { ...two, ...oneOfTwo, ...failsDisrupted },
    status: decided('SuccessCriteriaMet', { succeeded: 1, completedIndexes: '1' }),
    pods: '0:Fd 1:Sx',
    want: 'succeeded 1, failed 1, indexes 1, release 1, SuccessCriteriaMet=True Decided, Complete=True Decided',
  },
  {
    name: 'successPolicy: whatever the limit of each index says',
    spec: { ...perIndex, ...oneOfTwo },
    status: decided('SuccessCriteriaMet', { succeeded: 1, completedIndexes: '1' }),
    pods: '0:F/1 1:Sx',
    want: 'succeeded 1, failed 1, indexes 1, lost 0, release 1, SuccessCriteriaMet=True Decided, Complete=True Decided',
  },
  {
    name: 'successPolicy: whatever the limit of failures says',
    spec: { ...two, ...oneOfTwo, backoffLimit: 1 },
    status: decided('SuccessCriteriaMet', { succeeded: 1, completedIndexes: '1' }),
    pods: '0:F 0:F 1:Sx',
    want: 'succeeded 1, failed 2, indexes 1, release 2, SuccessCriteriaMet=True Decided, Complete=True Decided',
  },
  {
    name: 'successPolicy: a failure that is decided stays, too',
    spec: { ...two, ...oneOfTwo, ...failsDisrupted },
    status: decided('FailureTarget', { failed: 1 }),
    pods: '0:Fdx 1:S',
    want: 'succeeded 1, failed 1, indexes 1, release 1, FailureTarget=True Decided, Failed=True Decided',
  },
  {
    name: 'backoffLimitPerIndex: done after a failure',
    spec: perIndex,
    pods: '0:F/0 0:S/1 1:S/0',
    want: 'succeeded 2, failed 1, indexes 0,1, release 3, SuccessCriteriaMet=True CompletionsReached, Complete=True CompletionsReached',
  },
  {
    name: 'backoffLimitPerIndex: a failure is not counted before the next pod of its index is there',
    spec: perIndex,
    pods: '0:F/0',
    want: 'create 0 1',
  },
  {
    name: 'backoffLimitPerIndex: it is, once it is there',
    spec: perIndex,
    pods: '0:F/0 0:P/1',
    want: 'create 1, active 1, failed 1, release 1',
  },
  {
    name: 'backoffLimitPerIndex: an index is given up, and the Job goes on',
    spec: perIndex,
    pods: '0:F/1',
    want: 'create 1, failed 1, lost 0, release 1',
  },
  {
    name: 'backoffLimitPerIndex: FailIndex gives it up',
    spec: { ...perIndex, ...policy(exits('FailIndex', 3)) },
    pods: '0:F!3/0',
    want: 'create 1, failed 1, lost 0, release 1',
  },
  {
    name: 'backoffLimitPerIndex: FailJob ends the Job, and gives up no index',
    spec: { ...perIndex, backoffLimit: 6, ...policy(exits('FailJob', 3)) },
    pods: '0:F!3/0',
    want: 'failed 1, release 1, FailureTarget=True PodFailurePolicy, Failed=True PodFailurePolicy',
  },
  {
    name: 'backoffLimitPerIndex: Ignore',
    spec: { ...perIndex, backoffLimit: 6, ...policy(exits('Ignore', 3)) },
    pods: '0:F!3/0',
    want: 'create 0 1',
  },
  {
    name: 'backoffLimitPerIndex: the limit of all comes first',
    spec: { ...perIndex, backoffLimit: 1 },
    pods: '0:F/0 1:F/0',
    want: 'failed 2, release 2, FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded',
  },
  {
    name: 'backoffLimitPerIndex: all are done or given up',
    spec: perIndex,
    pods: '0:F/1 1:S/0',
    want: 'succeeded 1, failed 1, indexes 1, lost 0, release 2, FailureTarget=True FailedIndexes, Failed=True FailedIndexes',
  },
  {
    name: 'backoffLimitPerIndex: more are given up than may be',
    spec: { ...perIndex, completions: 4, parallelism: 4, maxFailedIndexes: 1 },
    pods: '0:F/1 1:S/0 2:F/1 3:R/0',
    want: 'delete 1, terminating 1, succeeded 1, failed 3, indexes 1, lost 0,2, release 4, FailureTarget=True MaxFailedIndexesExceeded',
  },
  {
    name: 'restarts: none of none that may be',
    spec: { ...onFailure, completions: 1, parallelism: 1, backoffLimit: 0 },
    pods: 'R/0',
    want: 'active 1',
  },
  {
    name: 'restarts: one of none that may be',
    spec: { ...onFailure, completions: 1, parallelism: 1, backoffLimit: 0 },
    pods: 'R/1',
    want: 'delete 1, terminating 1, failed 1, release 1, FailureTarget=True BackoffLimitExceeded',
  },
  {
    name: 'restarts: as many as may be, of a pod that is pending',
    spec: { ...onFailure, completions: 1, parallelism: 1, backoffLimit: 1 },
    pods: 'P/1',
    want: 'delete 1, terminating 1, failed 1, release 1, FailureTarget=True BackoffLimitExceeded',
  },
  {
    name: 'restarts: of several pods together',
    spec: { ...onFailure, completions: 2, backoffLimit: 2 },
    pods: 'R/1 P/1',
    want: 'delete 2, terminating 2, failed 2, release 2, FailureTarget=True BackoffLimitExceeded',
  },
  {
    name: 'restarts: fewer than may be',
    spec: { ...onFailure, completions: 2, parallelism: 2 },
    pods: 'R/2 P/3',
    want: 'active 2',
  },
  {
    name: 'limits: too many failures come before the deadline',
    spec: { completions: 1, parallelism: 1, activeDeadlineSeconds: 1, backoffLimit: 0 },
    status: { startTime: longAgo },
    pods: 'F',
    want: 'failed 1, release 1, FailureTarget=True BackoffLimitExceeded, Failed=True BackoffLimitExceeded',
  },
  {
    name: 'suspended: one that has done its work is complete',
    spec: { completions: 1, suspend: true },
    pods: 'S R',
    want: 'delete 1, terminating 1, succeeded 1, release 2, SuccessCriteriaMet=True CompletionsReached',
  },
  {
    name: 'suspended: a queue of which one has succeeded is complete',
    spec: { suspend: true },
    pods: 'S R',
    want: 'delete 1, terminating 1, succeeded 1, release 2, SuccessCriteriaMet=True CompletionsReached',
  },
];

it.each(rows)('a Job: $name', (row) => {
  expect(passes(row, { withReasons: true })).toBe(row.want);
});
