import { expect, it } from 'vitest';
import type { Deployment, DeploymentCondition, ReplicaSet } from '#api/generated/objects.ts';
import { planDeployment } from './plan.ts';
import { computeDeploymentStatus, isComplete, progressDeadlineMs, type Creation } from './status.ts';

const nowMs = Date.UTC(2026, 0, 2);
const longAgo = '2026-01-01T00:00:00Z';

const progressing = (reason: string, status = 'True'): DeploymentCondition => ({
  ...{ type: 'Progressing', status, reason, message: `said ${reason}` },
  ...{ lastUpdateTime: longAgo, lastTransitionTime: longAgo },
});

const deployment = (
  condition: DeploymentCondition | undefined,
  change: Partial<Deployment> = {},
): Deployment => ({
  metadata: { name: 'web', generation: 2 },
  spec: { replicas: 4, selector: {}, template: {}, ...change.spec },
  status: {
    observedGeneration: 2,
    ...{ replicas: 3, updatedReplicas: 3, readyReplicas: 1, availableReplicas: 1 },
    conditions: condition === undefined ? [] : [condition],
    ...change.status,
  },
});

const set = (name: string, replicas: number, availableReplicas: number): ReplicaSet => ({
  metadata: { name },
  spec: { replicas, selector: {} },
  status: { replicas, readyReplicas: availableReplicas, availableReplicas, terminatingReplicas: 1 },
});

interface Row {
  readonly name: string;
  readonly before: DeploymentCondition | undefined;
  readonly now?: ReplicaSet;
  readonly old?: readonly ReplicaSet[];
  readonly isPaused?: boolean;
  readonly creation?: Creation;
  readonly want: string;
}

const rows: readonly Row[] = [
  {
    name: 'stays over while pods go and come',
    before: progressing('NewReplicaSetAvailable'),
    now: set('new', 4, 2),
    want: 'True NewReplicaSetAvailable: said NewReplicaSetAvailable',
  },
  {
    name: 'begins anew once another template has pods',
    before: progressing('NewReplicaSetAvailable'),
    now: set('new', 4, 0),
    old: [set('old', 1, 1)],
    want: 'True ReplicaSetUpdated: ReplicaSet "new" is progressing.',
  },
  {
    name: 'tells of a ReplicaSet that was made, though the last rollout is over',
    before: progressing('NewReplicaSetAvailable'),
    creation: { name: 'new' },
    now: set('new', 0, 0),
    want: 'True NewReplicaSetCreated: Created new replica set "new"',
  },
  {
    name: 'tells of one that was there already',
    before: undefined,
    now: set('new', 1, 0),
    want: 'True FoundNewReplicaSet: Found new replica set "new"',
  },
  {
    name: 'tells of one that could not be made',
    before: progressing('NewReplicaSetAvailable'),
    creation: { name: 'new', refusal: 'no room' },
    want: 'False ReplicaSetCreateError: Failed to create new replica set "new": no room',
  },
  {
    name: 'does not take what could not be made for late',
    before: { ...progressing('ReplicaSetCreateError', 'False'), lastUpdateTime: '2026-01-01T23:59:59Z' },
    now: set('new', 1, 0),
    want: 'False ReplicaSetCreateError: said ReplicaSetCreateError',
  },
  {
    name: 'is late after its deadline',
    before: progressing('ReplicaSetUpdated'),
    now: set('new', 1, 0),
    want: 'False ProgressDeadlineExceeded: ReplicaSet "new" has timed out progressing.',
  },
  {
    name: 'that was late goes on, with a pod more',
    before: progressing('ProgressDeadlineExceeded', 'False'),
    now: set('new', 3, 2),
    old: [set('old', 1, 0)],
    want: 'True ReplicaSetUpdated: ReplicaSet "new" is progressing.',
  },
  {
    name: 'that was late stays so',
    before: progressing('ProgressDeadlineExceeded', 'False'),
    now: set('new', 3, 1),
    want: 'False ProgressDeadlineExceeded: said ProgressDeadlineExceeded',
  },
  {
    name: 'that was late is over',
    before: progressing('ProgressDeadlineExceeded', 'False'),
    now: set('new', 4, 4),
    want: 'True NewReplicaSetAvailable: ReplicaSet "new" has successfully progressed.',
  },
  {
    name: 'is paused',
    before: progressing('ReplicaSetUpdated'),
    isPaused: true,
    want: 'Unknown DeploymentPaused: Deployment is paused',
  },
  {
    name: 'that was late stays so, paused',
    before: progressing('ProgressDeadlineExceeded', 'False'),
    isPaused: true,
    want: 'False ProgressDeadlineExceeded: said ProgressDeadlineExceeded',
  },
];

it.each(rows)('a rollout $name', ({ before, now, old = [], isPaused = false, creation, want }) => {
  const spec = { replicas: 4, selector: {}, template: {}, paused: isPaused };
  const rollout = { newReplicaSet: now, oldReplicaSets: old, creation, nowMs };
  const { conditions = [] } = computeDeploymentStatus({
    deployment: deployment(before, { spec }),
    ...rollout,
  });
  const { status, reason, message } = conditions.find(({ type }) => type === 'Progressing') ?? {};
  expect(`${status} ${reason}: ${message}`).toBe(want);
});

it('a rollout without a deadline tells nothing of how it goes on', () => {
  const spec = { replicas: 4, selector: {}, template: {}, progressDeadlineSeconds: 2_147_483_647 };
  const before = deployment(progressing('ReplicaSetUpdated'), { spec });
  const rollout = { newReplicaSet: set('new', 3, 2), oldReplicaSets: [], nowMs };
  const { conditions = [] } = computeDeploymentStatus({ deployment: before, ...rollout });
  expect(conditions.map(({ type }) => type)).toEqual(['Available']);
});

it('a rollout of none, without a ReplicaSet of its template, is over', () => {
  const spec = { replicas: 0, selector: {}, template: {} };
  const before = deployment(progressing('ReplicaSetUpdated'), { spec });
  const rollout = { newReplicaSet: undefined, oldReplicaSets: [set('old', 0, 0)], nowMs };
  const { conditions = [] } = computeDeploymentStatus({ deployment: before, ...rollout });
  expect(conditions[0]).toMatchObject({ status: 'True', reason: 'NewReplicaSetAvailable' });
});

it('Recreate: one that is rolled back to is the newest revision before the pods of the last are gone', () => {
  const of = (name: string, image: string, revision: string, replicas: number): ReplicaSet => ({
    metadata: { name, uid: name, annotations: { 'deployment.kubernetes.io/revision': revision } },
    spec: { replicas, selector: {}, template: { spec: { containers: [{ name: 'c', image }] } } },
    status: { replicas },
  });
  const template = { spec: { containers: [{ name: 'c', image: 'one' }] } };
  const plan = planDeployment({
    deployment: {
      metadata: { name: 'web' },
      spec: { selector: {}, template, strategy: { type: 'Recreate' } },
    },
    replicaSets: [of('a', 'one', '1', 0), of('b', 'two', '2', 1)],
    ...{ pods: [], nowMs },
  });
  expect(plan).toMatchObject([
    { kind: 'updateReplicaSet', annotations: { 'deployment.kubernetes.io/revision': '3' } },
    { kind: 'annotateDeployment', revision: '3' },
    { kind: 'updateReplicaSet', replicas: 0, event: 'Scaled down replica set b from 1 to 0' },
  ]);
});

it('a rollout that is over has no deadline', () => {
  const scaled = deployment(progressing('NewReplicaSetAvailable'));
  expect(progressDeadlineMs(scaled, scaled.status ?? {}, nowMs)).toBeUndefined();
});

it('pods that go are those of all ReplicaSets, as soon as each says', () => {
  const of = (all: readonly ReplicaSet[]) =>
    computeDeploymentStatus({
      ...{ deployment: deployment(undefined), newReplicaSet: undefined, oldReplicaSets: all, nowMs },
    }).terminatingReplicas;
  expect([
    of([]),
    of([set('a', 1, 1), set('b', 1, 1)]),
    of([set('a', 1, 1), { status: { replicas: 0 } }]),
  ]).toEqual([0, 2, undefined]);
});

it('of a paused Deployment what is beyond its history goes, but for ReplicaSets that have pods or are going', () => {
  const old = (name: string, revision: number, change: ReplicaSet = {}): ReplicaSet => ({
    metadata: {
      name,
      annotations: { 'deployment.kubernetes.io/revision': `${revision}` },
      ...change.metadata,
    },
    spec: { replicas: 0, selector: {}, template: { metadata: { labels: { name } } }, ...change.spec },
    status: { replicas: 0, ...change.status },
  });
  const replicaSets = [
    old('a', 1, { status: { replicas: 1 } }),
    old('b', 2),
    old('c', 3),
    old('d', 4, { metadata: { name: 'd', deletionTimestamp: longAgo } }),
  ];
  const spec = { replicas: 0, selector: {}, template: {}, paused: true, revisionHistoryLimit: 1 };
  const plan = planDeployment({ deployment: deployment(undefined, { spec }), replicaSets, pods: [], nowMs });
  const deleted = plan.flatMap((one) =>
    one.kind === 'deleteReplicaSet' ? [one.replicaSet.metadata?.name] : [],
  );
  expect(deleted).toEqual(['b']);
});

const counted = ([replicas, updatedReplicas, readyReplicas, availableReplicas]: readonly number[]) => ({
  ...{ replicas, updatedReplicas, readyReplicas, availableReplicas },
});

it.each([
  { name: 'not every pod is available', desired: 5, is: [5, 5, 4, 4], want: false },
  { name: 'too few are available', desired: 5, is: [5, 5, 3, 3], want: false },
  { name: 'all is well', desired: 5, is: [5, 5, 5, 5], want: true },
  { name: 'one is of before', desired: 5, is: [5, 4, 5, 5], want: false },
  { name: 'one of before still runs', desired: 1, is: [2, 1, 1, 1], want: false },
  { name: 'the only one never comes', desired: 1, is: [1, 1, 0, 0], want: false },
])('a rollout is over: $want, when $name', ({ desired, is, want }) => {
  const spec = { replicas: desired, selector: {}, template: {} };
  expect(isComplete({ spec }, counted(is))).toBe(want);
});

it.each([
  { name: 'more are updated', before: [10, 4, 4, 4], now: [10, 6, 4, 4], want: true },
  { name: 'nothing is new', before: [10, 4, 4, 4], now: [10, 4, 4, 4], want: false },
  { name: 'fewer old ones', before: [10, 4, 6, 6], now: [8, 4, 6, 6], want: true },
  { name: 'fewer new ones', before: [10, 7, 3, 3], now: [10, 6, 3, 3], want: false },
  { name: 'fewer in all, more new ones', before: [10, 4, 7, 7], now: [8, 8, 5, 5], want: true },
  { name: 'more are ready', before: [10, 10, 9, 8], now: [10, 10, 10, 8], want: true },
  { name: 'more are available', before: [10, 10, 10, 8], now: [10, 10, 10, 9], want: true },
])(
  'a rollout came on: $want, when $name',
  ({ before, now: [all = 0, updated = 0, ready, available], want }) => {
    const was = deployment(progressing('FoundNewReplicaSet'), { status: counted(before) });
    const status = { ...was.status, conditions: [progressing('FoundNewReplicaSet')] };
    const spec = { replicas: 20, selector: {}, template: {}, progressDeadlineSeconds: 1_000_000 };
    const next = computeDeploymentStatus({
      deployment: { ...was, spec, status },
      newReplicaSet: { metadata: { name: 'new' }, status: { replicas: updated } },
      oldReplicaSets: [
        { status: { replicas: all - updated, readyReplicas: ready, availableReplicas: available } },
      ],
      nowMs,
    });
    const { reason } = next.conditions?.find(({ type }) => type === 'Progressing') ?? {};
    expect(reason === 'ReplicaSetUpdated').toBe(want);
  },
);

it.each([
  { name: 'no deadline', condition: progressing('R'), seconds: 2_147_483_647, want: undefined },
  { name: 'none that progresses', condition: undefined, seconds: 60, want: undefined },
  { name: 'one that was late', condition: progressing('R', 'False'), seconds: 60, want: undefined },
  { name: 'in half a minute', condition: progressing('R'), seconds: 86_430, want: 31_000 },
  { name: 'in a second', condition: progressing('R'), seconds: 86_401, want: 2000 },
  { name: 'past', condition: progressing('R'), seconds: 60, want: 1000 },
])('progressDeadlineMs() $name', ({ condition, seconds, want }) => {
  const spec = { replicas: 4, selector: {}, template: {}, progressDeadlineSeconds: seconds };
  const late = deployment(condition, { spec });
  expect(progressDeadlineMs(late, late.status ?? {}, nowMs)).toBe(want);
});
