import { describe, expect, it } from 'vitest';
import type { PersistentVolumeClaim, Pod, StatefulSet, StatefulSetSpec } from '#api/generated/objects.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { planClaim } from '#control-plane/controllers/pods/claim.ts';
import { claimsForNewPod, planClaims } from './claims.ts';
import { computeStatefulStatus, isPodOf, planStateful, revisionLabel } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2);

function setOf(spec: Partial<StatefulSetSpec>): StatefulSet {
  return {
    metadata: { name: 'set', namespace: 'default', uid: 'set' },
    spec: {
      replicas: 3,
      selector: {},
      template: {},
      volumeClaimTemplates: [{ metadata: { name: 'data' } }],
      ...spec,
    },
  };
}

/** `1` `1old` `1!` (not ready) `1-` (terminating) `1x` (failed) `1?` (pending), and what of it together. */
function podOf(text: string): Pod {
  const ordinal = Number.parseInt(text, 10);
  const readyFor = text.includes('young') ? 1000 : 3_600_000;
  const status = text.includes('!') || text.includes('?') ? 'False' : 'True';
  const lastTransitionTime = new Date(nowMs - readyFor).toISOString();
  return {
    metadata: {
      name: `set-${ordinal}`,
      uid: `pod-${ordinal}`,
      labels: { [revisionLabel]: text.includes('old') ? 'old' : 'new' },
      ...(text.includes('-') ? { deletionTimestamp: lastTransitionTime } : {}),
    },
    status: {
      phase: text.includes('x') ? 'Failed' : text.includes('?') ? 'Pending' : 'Running',
      conditions: [{ type: 'Ready', status, lastTransitionTime }],
    },
  };
}

const rolling = (rollingUpdate: object) => ({
  updateStrategy: { type: 'RollingUpdate' as const, rollingUpdate },
});
const parallel = { podManagementPolicy: 'Parallel' as const };

const rows: readonly {
  readonly name: string;
  readonly spec?: Partial<StatefulSetSpec>;
  readonly pods: string;
  readonly want: string;
}[] = [
  { name: 'makes the first', pods: '', want: '+0new' },
  { name: 'waits for the first to be ready', pods: '0!', want: '' },
  {
    name: 'waits for the first to be ready long enough',
    spec: { minReadySeconds: 5 },
    pods: '0young',
    want: '',
  },
  { name: 'makes the next', pods: '0', want: '+1new' },
  { name: 'replaces a failed one', pods: '0 1x', want: '-1' },
  { name: 'Parallel: makes all', spec: parallel, pods: '', want: '+0new +1new +2new' },
  { name: 'scales down from the top', spec: { replicas: 1 }, pods: '0 1 2', want: '-2' },
  { name: 'scales down one at a time', spec: { replicas: 1 }, pods: '0 1 2-', want: '' },
  { name: 'Parallel: scales down at once', spec: { replicas: 1, ...parallel }, pods: '0 1 2', want: '-2 -1' },
  { name: 'ordinals.start', spec: { ordinals: { start: 5 } }, pods: '', want: '+5new' },
  { name: 'ordinals.start moves the range', spec: { ordinals: { start: 1 } }, pods: '0 1 2 3', want: '-0' },
  { name: 'updates from the top', pods: '0old 1old 2old', want: '-2' },
  { name: 'updates the next when the one above is healthy', pods: '0old 1old 2', want: '-1' },
  { name: 'waits for the one above', spec: { minReadySeconds: 5 }, pods: '0old 1old 2young', want: '' },
  { name: 'partition', spec: rolling({ partition: 2 }), pods: '0old 1old 2', want: '' },
  {
    name: 'partition counts from the first ordinal',
    spec: { ...rolling({ partition: 1 }), ordinals: { start: 5 } },
    pods: '5old 6old 7',
    want: '-6',
  },
  {
    name: 'below the partition pods are made as they were',
    spec: { ...rolling({ partition: 1 }), ordinals: { start: 5 } },
    pods: '',
    want: '+5old',
  },
  { name: 'maxUnavailable', spec: rolling({ maxUnavailable: 2 }), pods: '0old 1old 2old', want: '-2 -1' },
  {
    name: 'maxUnavailable as percentage, at least one',
    spec: rolling({ maxUnavailable: '10%' }),
    pods: '0old 1old 2old',
    want: '-2',
  },
  {
    name: 'maxUnavailable counts those that are away already; unhealthy old ones go free',
    spec: { ...parallel, ...rolling({ maxUnavailable: 2 }) },
    pods: '0old! 1old 2!',
    want: '-0',
  },
  {
    name: 'maxUnavailable ends at the partition',
    spec: rolling({ maxUnavailable: 3, partition: 1 }),
    pods: '0old 1old 2old',
    want: '-2 -1',
  },
  {
    name: 'OnDelete updates nothing',
    spec: { updateStrategy: { type: 'OnDelete' } },
    pods: '0old 1old 2old',
    want: '',
  },
];

/** What is planned, as `+1new -0`. */
function toldOf(statefulSet: StatefulSet, pods: string): string {
  const actions = planStateful({
    statefulSet,
    pods: pods.split(' ').filter(Boolean).map(podOf),
    updateRevision: 'new',
    currentRevision: 'old',
    deletedUids: new Set(),
    nowMs,
  });
  const told = actions.map((action) =>
    action.kind === 'create'
      ? `+${action.ordinal}${action.revision}`
      : `-${(action.pod.metadata?.name ?? '').slice('set-'.length)}`,
  );
  return told.join(' ');
}

describe('planStateful()', () => {
  it.each(rows)('$name', ({ spec = {}, pods, want }) => {
    expect(toldOf(setOf(spec), pods)).toBe(want);
  });
});

/** Updates of parallel sets whose pods are partly away: kubernetes/kubernetes#137409. */
const updates: readonly {
  readonly replicas: number;
  readonly maxUnavailable: number;
  readonly partition?: number;
  readonly pods: string;
  readonly want: string;
}[] = [
  { replicas: 1, maxUnavailable: 1, pods: '0old!', want: '-0' },
  { replicas: 3, maxUnavailable: 1, pods: '0old 1old 2old!', want: '-2' },
  { replicas: 5, maxUnavailable: 2, pods: '0old 1old 2old 3old! 4old!', want: '-4 -3' },
  { replicas: 3, maxUnavailable: 1, pods: '0old 1old 2old-', want: '' },
  { replicas: 5, maxUnavailable: 3, pods: '0old 1old 2old 3old! 4old-', want: '-3 -2' },
  { replicas: 5, maxUnavailable: 3, pods: '0old 1old 2old 3old- 4old!', want: '-4 -2' },
  { replicas: 3, maxUnavailable: 1, pods: '0old 1old 2oldyoung', want: '-2' },
  { replicas: 5, maxUnavailable: 1, partition: 2, pods: '0old 1old 2old 3old 4old!', want: '-4' },
  { replicas: 5, maxUnavailable: 1, partition: 2, pods: '0old 1old 2old! 3old 4old', want: '-2' },
  { replicas: 5, maxUnavailable: 1, partition: 2, pods: '0old 1old! 2old 3old 4old', want: '' },
  { replicas: 5, maxUnavailable: 2, partition: 3, pods: '0old 1old 2old 3old! 4old!', want: '-4 -3' },
  { replicas: 5, maxUnavailable: 2, partition: 3, pods: '0old 1old! 2old 3old 4old!', want: '-4' },
  { replicas: 4, maxUnavailable: 2, pods: '0old! 1old! 2old 3old', want: '-1 -0' },
  { replicas: 5, maxUnavailable: 3, pods: '0old! 1old! 2old 3old 4old', want: '-4 -1 -0' },
  { replicas: 6, maxUnavailable: 2, partition: 3, pods: '0old 1old 2old 3old 4 5!', want: '-3' },
  { replicas: 6, maxUnavailable: 2, partition: 3, pods: '0old 1old 2old 3 4 5', want: '' },
];

it.each(updates)(
  'planStateful() $pods, $maxUnavailable may be away, from $partition',
  ({ replicas, partition = 0, maxUnavailable, pods, want }) => {
    const update = rolling({ partition, maxUnavailable });
    expect(toldOf(setOf({ replicas, minReadySeconds: 30, ...parallel, ...update }), pods)).toBe(want);
  },
);

/** Of an ordered set of six, none goes while any is away, wherever that is. */
it.each(['5', '3', '4', '2', '1'])('planStateful() waits for pod %s of an ordered set', (away) => {
  const pods = ['0', '1', '2', '3', '4', '5'].map((ordinal) => `${ordinal}old${ordinal === away ? '-' : ''}`);
  const update = rolling({ partition: 3, maxUnavailable: 2 });
  expect(toldOf(setOf({ replicas: 6, ...update }), pods.join(' '))).toBe('');
});

const policies = [
  { policy: 'OrderedReady', update: 'RollingUpdate' },
  { policy: 'OrderedReady', update: 'OnDelete' },
  { policy: 'Parallel', update: 'RollingUpdate' },
  { policy: 'Parallel', update: 'OnDelete' },
] as const;

/** What is done by ordered and by parallel sets, of all replicas and of minReadySeconds 5. */
const scaling: readonly {
  readonly replicas: number;
  readonly pods: string;
  readonly ordered: string;
  readonly parallel: string;
}[] = [
  // Down: the highest goes, unless it is unhealthy and one below it is so, too.
  { replicas: 0, pods: '0 1 2', ordered: '-2', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0 1! 2', ordered: '-2', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0 1 2!', ordered: '-2', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0 1! 2!', ordered: '', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0! 1! 2!', ordered: '', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0! 1 2!', ordered: '', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0young 1 2young', ordered: '', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0! 1 2', ordered: '-2', parallel: '-2 -1 -0' },
  { replicas: 0, pods: '0! 1!', ordered: '', parallel: '-1 -0' },
  { replicas: 0, pods: '0 1!', ordered: '-1', parallel: '-1 -0' },
  { replicas: 0, pods: '0!', ordered: '-0', parallel: '-0' },
  { replicas: 0, pods: '0 1 2-', ordered: '', parallel: '-1 -0' },
  { replicas: 0, pods: '0! 1- 2!', ordered: '', parallel: '-2 -0' },
  // A pod that stays is waited for before any goes.
  { replicas: 1, pods: '0! 1 2', ordered: '', parallel: '-2 -1' },
  { replicas: 1, pods: '0 1! 2!', ordered: '', parallel: '-2 -1' },
  { replicas: 1, pods: '1 2', ordered: '+0new', parallel: '+0new -2 -1' },
  { replicas: 2, pods: '0young 1 2', ordered: '', parallel: '-2' },
  { replicas: 2, pods: '0 1x 2', ordered: '-1', parallel: '-1 -2' },
  // Up: from the lowest that is missing, when all below it are healthy.
  { replicas: 3, pods: '0! 2', ordered: '', parallel: '+1new' },
  { replicas: 3, pods: '0young', ordered: '', parallel: '+1new +2new' },
  { replicas: 3, pods: '0- 1', ordered: '', parallel: '+2new' },
  { replicas: 3, pods: '0x 1', ordered: '-0', parallel: '-0 +2new' },
];

describe.each(policies)('planStateful() of $policy, $update', ({ policy, update }) => {
  it.each(scaling)('$replicas of $pods', ({ replicas, pods, ordered, parallel: together }) => {
    const statefulSet = setOf({
      replicas,
      minReadySeconds: 5,
      podManagementPolicy: policy,
      updateStrategy: { type: update },
    });
    const told = toldOf(statefulSet, pods);
    expect(told).toBe(policy === 'OrderedReady' ? ordered : together);
  });
});

describe('isPodOf()', () => {
  it.each([
    ['set-0', true],
    ['set-12', true],
    ['set', false],
    ['set-', false],
    ['set-a', false],
    ['set-a-0', false],
    ['other-0', false],
  ])('%s: %s', (name, want) => {
    expect(isPodOf(setOf({}), { metadata: { name } })).toBe(want);
  });

  it('decides who is adopted, and who is let go, though the labels fit', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'set', uid: 'set', controller: true };
    const named = (name: string, ...ownerReferences: (typeof owner)[]): Pod => ({
      metadata: { name, labels: { a: 'b' }, ownerReferences },
    });
    const pods = [named('set-0', owner), named('stray'), named('other-1', owner), named('set-1')];
    const selector = labelSelectorFromObject({ matchLabels: { a: 'b' } });
    const plan = planClaim(setOf({}), selector, pods, isPodOf);
    expect(plan).toEqual({ owned: [pods[0]], adopt: [pods[3]], release: [pods[2]] });
  });
});

const byPod = (ordinal: number) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  name: `set-${ordinal}`,
  uid: `pod-${ordinal}`,
});
const bySet = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'set', uid: 'set' };
const marks = { controller: true, blockOwnerDeletion: true };

function claimOf(ordinal: number, ...owners: readonly object[]): PersistentVolumeClaim {
  const ownerReferences = owners.map((owner) => ({ ...bySet, ...owner, ...marks }));
  return { metadata: { name: `data-set-${ordinal}`, namespace: 'default', ownerReferences } };
}

describe('planClaims()', () => {
  it.each([
    { whenDeleted: 'Retain', whenScaled: 'Retain', want: ['keeps', 'keeps'] },
    { whenDeleted: 'Delete', whenScaled: 'Retain', want: ['set', 'set'] },
    { whenDeleted: 'Retain', whenScaled: 'Delete', want: ['keeps', 'set-1'] },
    { whenDeleted: 'Delete', whenScaled: 'Delete', want: ['set', 'set-1'] },
  ])('whenDeleted $whenDeleted, whenScaled $whenScaled', ({ want, ...policy }) => {
    const set = setOf({ replicas: 1, persistentVolumeClaimRetentionPolicy: policy });
    const claims = new Map([0, 1].map((ordinal) => [`data-set-${ordinal}`, claimOf(ordinal)]));
    const actions = planClaims(set, [podOf('0'), podOf('1')], (name) => claims.get(name));
    const owner = (name: string): string => {
      const action = actions.find(({ claim }) => claim.metadata?.name === name);
      return action?.kind === 'setOwners' ? (action.owners[0]?.name ?? 'nobody') : 'keeps';
    };
    expect(['data-set-0', 'data-set-1'].map(owner)).toEqual(want);
  });

  const other = { apiVersion: 'v1', kind: 'Other', name: 'o', uid: 'o' };
  it.each([
    { name: 'its own when nothing is to go', owners: [bySet], policy: {}, want: [] },
    { name: 'its own beside who controls', owners: [other, bySet], policy: {}, want: ['o'] },
    {
      name: 'its own beside who controls, whatever the policy',
      owners: [other, bySet],
      policy: { whenDeleted: 'Delete' },
      want: ['o'],
    },
    { name: 'nobody who controls', owners: [other], policy: { whenDeleted: 'Delete' }, want: undefined },
    { name: 'no set of before', owners: [{ ...bySet, uid: 'x' }], policy: {}, want: undefined },
    {
      name: 'no set of before, whatever the policy',
      owners: [{ ...bySet, uid: 'x' }],
      policy: { whenDeleted: 'Delete' },
      want: undefined,
    },
    {
      name: 'no pod of before',
      owners: [{ ...byPod(0), uid: 'x' }],
      policy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
      want: undefined,
    },
  ])('takes from the owners of a claim $name', ({ owners, policy, want }) => {
    const set = setOf({ replicas: 1, persistentVolumeClaimRetentionPolicy: policy });
    const [action] = planClaims(set, [podOf('0')], () => claimOf(0, ...owners));
    const left = action?.kind === 'setOwners' ? action.owners.map(({ name }) => name) : undefined;
    expect(left).toEqual(want);
  });

  it('makes a claim that a waiting pod lacks', () => {
    const actions = planClaims(setOf({}), [podOf('0?'), podOf('1')], () => undefined);
    expect(actions).toMatchObject([{ kind: 'createClaim', claim: { metadata: { name: 'data-set-0' } } }]);
  });
});

describe('claimsForNewPod()', () => {
  it('waits for a claim that goes with the pod before', () => {
    expect(claimsForNewPod(setOf({}), 1, () => claimOf(1, byPod(1)))).toBeUndefined();
  });

  it('keeps what is there', () => {
    expect(claimsForNewPod(setOf({}), 1, () => claimOf(1))).toEqual([]);
  });

  it('owns a new claim that is to go with the set', () => {
    const policy = { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } };
    const made = claimsForNewPod(setOf(policy), 1, () => undefined);
    expect(made?.[0]?.metadata?.ownerReferences).toEqual([{ ...bySet, ...marks }]);
  });
});

describe('computeStatefulStatus() counts', () => {
  it.each([
    { name: 'what is there', pods: '0 1 2', want: '3 of 3 ready, 3 available, 3 current, 3 updated' },
    { name: 'one that goes', pods: '0 1 2-', want: '3 of 3 ready, 3 available, 0 current, 2 updated' },
    { name: 'one that failed', pods: '0 1 2x', want: '2 of 3 ready, 2 available, 0 current, 3 updated' },
    { name: 'one of before', pods: '0old 1 2!', want: '2 of 3 ready, 2 available, 1 current, 2 updated' },
    {
      name: 'one that is too young',
      pods: '0young',
      want: '1 of 1 ready, 0 available, 0 current, 1 updated',
    },
  ])('$name', ({ pods, want }) => {
    const statefulSet = setOf({ minReadySeconds: 5, ...rolling({ partition: 3 }) });
    const { replicas, readyReplicas, availableReplicas, currentReplicas, updatedReplicas } =
      computeStatefulStatus({
        ...{ statefulSet, pods: pods.split(' ').map(podOf), deletedUids: new Set(), nowMs },
        ...{ updateRevision: 'new', currentRevision: 'old' },
      });
    expect(
      `${readyReplicas} of ${replicas} ready, ${availableReplicas} available, ` +
        `${currentReplicas ?? 0} current, ${updatedReplicas ?? 0} updated`,
    ).toBe(want);
  });
});
