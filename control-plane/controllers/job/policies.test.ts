import { describe, expect, it } from 'vitest';
import type { Job, Pod, PodFailurePolicyRule, SuccessPolicyRule } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { judgeFailure } from './failure-policy.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { timeToLiveMs } from './plan.ts';
import { metSuccessRule } from './success-policy.ts';

const template = { spec: { containers: [] } };
const container = (name: string, exitCode: number | undefined) => ({
  name,
  image: '',
  imageID: '',
  ready: false,
  restartCount: 0,
  state: exitCode === undefined ? {} : { terminated: { exitCode } },
});
const failed: Pod = {
  metadata: { namespace: 'ns', name: 'p' },
  status: {
    phase: 'Failed',
    containerStatuses: [container('main', 3), container('side', 0)],
    initContainerStatuses: [container('init', 9)],
    conditions: [{ type: 'DisruptionTarget', status: 'True' }],
  },
};
const disrupted = [{ type: 'DisruptionTarget', status: 'True' }];

const failureRows: readonly {
  readonly name: string;
  readonly rules: readonly PodFailurePolicyRule[];
  readonly want: object;
}[] = [
  { name: 'counts without a rule', rules: [], want: { action: 'Count' } },
  {
    name: 'In',
    rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [3] } }],
    want: {
      action: 'FailJob',
      message: 'Container main for pod ns/p failed with exit code 3 matching FailJob rule at index 0',
    },
  },
  {
    name: 'NotIn does not see containers that succeeded',
    rules: [{ action: 'Ignore', onExitCodes: { operator: 'NotIn', values: [3, 9] } }],
    want: { action: 'Count' },
  },
  {
    name: 'a container by its name, init containers among them',
    rules: [
      { action: 'Ignore', onExitCodes: { containerName: 'main', operator: 'In', values: [9] } },
      { action: 'FailIndex', onExitCodes: { containerName: 'init', operator: 'NotIn', values: [3] } },
    ],
    want: { action: 'FailIndex' },
  },
  {
    name: 'the first rule that matches',
    rules: [
      { action: 'Count', onPodConditions: disrupted },
      { action: 'Ignore', onPodConditions: disrupted },
    ],
    want: { action: 'Count' },
  },
  {
    name: 'a condition of the status that is asked for',
    rules: [
      { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'False' }] },
      { action: 'FailJob', onPodConditions: [{ type: 'Other', status: 'True' }, ...disrupted] },
    ],
    want: {
      action: 'FailJob',
      message: 'Pod ns/p has condition DisruptionTarget matching FailJob rule at index 1',
    },
  },
];

describe('judgeFailure()', () => {
  it.each(failureRows)('$name', ({ rules, want }) => {
    expect(judgeFailure({ spec: { template, podFailurePolicy: { rules } } }, failed)).toEqual(want);
  });
});

const successRows: readonly {
  readonly name: string;
  readonly rules: readonly SuccessPolicyRule[];
  readonly want: string | undefined;
}[] = [
  { name: 'all of the indexes', rules: [{ succeededIndexes: '1,3' }], want: 'Matched rules at index 0' },
  { name: 'not all of them', rules: [{ succeededIndexes: '0-3' }], want: undefined },
  {
    name: 'enough of them',
    rules: [{ succeededIndexes: '0-3', succeededCount: 2 }],
    want: 'Matched rules at index 0',
  },
  { name: 'not enough of them', rules: [{ succeededIndexes: '2-4', succeededCount: 2 }], want: undefined },
  { name: 'a count of any', rules: [{ succeededCount: 2 }], want: 'Matched rules at index 0' },
  {
    name: 'the first of the rules that is met',
    rules: [{ succeededCount: 3 }, { succeededIndexes: '3' }],
    want: 'Matched rules at index 1',
  },
];

describe('metSuccessRule()', () => {
  it.each(successRows)('$name', ({ rules, want }) => {
    const job: Job = { spec: { template, completions: 5, successPolicy: { rules } } };
    expect(metSuccessRule(job, new Set([1, 3]))).toBe(want);
  });
});

it('indexes round trip, and those beyond completions are dropped', () => {
  expect(parseIndexes('0-2,5', 10)).toEqual([0, 1, 2, 5]);
  expect(parseIndexes('0-2,5', 2)).toEqual([0, 1]);
  expect(parseIndexes('', 2)).toEqual([]);
  expect(formatIndexes(new Set([5, 2, 0, 1, 8, 7]))).toBe('0-2,5,7,8');
});

it.each([
  { name: 'none that is to be', seconds: undefined, endedSecondsAgo: 10, type: 'Complete', want: undefined },
  { name: 'none that has ended', seconds: 10, endedSecondsAgo: 10, type: 'Suspended', want: undefined },
  { name: 'none that says when', seconds: 10, endedSecondsAgo: undefined, type: 'Complete', want: undefined },
  { name: 'over', seconds: 0, endedSecondsAgo: 0, type: 'Complete', want: 0 },
  { name: 'some left', seconds: 15, endedSecondsAgo: 10, type: 'Complete', want: 5 },
  { name: 'some left of one that failed', seconds: 15, endedSecondsAgo: 10, type: 'Failed', want: 5 },
  { name: 'over for long', seconds: 10, endedSecondsAgo: 15, type: 'Failed', want: -5 },
])('timeToLiveMs() $name', ({ seconds, endedSecondsAgo, type, want }) => {
  const nowMs = Date.UTC(2026, 0, 2);
  const condition = {
    ...{ type, status: 'True' },
    ...(endedSecondsAgo === undefined
      ? {}
      : { lastTransitionTime: formatTime(nowMs - endedSecondsAgo * 1000) }),
  };
  const job: Job = {
    spec: { template, ...(seconds === undefined ? {} : { ttlSecondsAfterFinished: seconds }) },
    status: { conditions: [condition] },
  };
  expect(timeToLiveMs(job, nowMs)).toBe(want === undefined ? undefined : want * 1000);
});
