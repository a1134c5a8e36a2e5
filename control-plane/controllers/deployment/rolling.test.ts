import { expect, it } from 'vitest';
import type { Deployment, ReplicaSet } from '#api/generated/objects.ts';
import { fencepostsOf, newReplicas, planScale, planScaleDown } from './rolling.ts';

const deployment = (
  replicas: number,
  maxSurge: number | string,
  maxUnavailable: number | string,
): Deployment => ({
  spec: {
    replicas,
    selector: {},
    template: {},
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
  },
});

const set = (name: string, replicas: number, availableReplicas: number = replicas): ReplicaSet => ({
  metadata: { name, creationTimestamp: `2026-01-0${name.length}T00:00:00Z` },
  spec: { replicas, selector: {} },
  status: { replicas, availableReplicas },
});

it.each([
  { replicas: 4, surge: '25%', unavailable: '25%', want: { surge: 1, unavailable: 1 } },
  { replicas: 3, surge: '25%', unavailable: '25%', want: { surge: 1, unavailable: 0 } },
  { replicas: 10, surge: 0, unavailable: 0, want: { surge: 0, unavailable: 1 } },
  { replicas: 10, surge: '100%', unavailable: 3, want: { surge: 10, unavailable: 3 } },
  { replicas: 1, surge: 0, unavailable: '1%', want: { surge: 0, unavailable: 1 } },
  { replicas: 0, surge: '0%', unavailable: '0%', want: { surge: 0, unavailable: 1 } },
  { replicas: 10, surge: '39%', unavailable: '39%', want: { surge: 4, unavailable: 3 } },
])('fencepostsOf() of $replicas, $surge, $unavailable', ({ replicas, surge, unavailable, want }) => {
  expect(fencepostsOf(deployment(replicas, surge, unavailable))).toEqual(want);
});

it.each([
  { name: 'begins with the surge', all: [set('o', 4)], current: 0, want: 1 },
  { name: 'fills what is free', all: [set('o', 2), set('nn', 2)], current: 2, want: 3 },
  { name: 'never exceeds what is wanted', all: [set('nn', 4)], current: 4, want: 4 },
  { name: 'comes down to what is wanted', all: [set('nn', 6)], current: 6, want: 4 },
  { name: 'waits while there is no room', all: [set('o', 4), set('nn', 1)], current: 1, want: 1 },
  {
    name: 'waits for pods that an old one, scaled down a moment ago, has still',
    all: [{ ...set('o', 3), status: { replicas: 4 } }, set('nn', 1)],
    current: 1,
    want: 1,
  },
])('newReplicas() $name', ({ all, current, want }) => {
  expect(newReplicas(deployment(4, 1, 1), all, current)).toBe(want);
});

it.each([
  { name: 'takes what may be unavailable', old: [set('o', 4)], now: set('nn', 1, 0), want: ['o 3'] },
  { name: 'waits for the new ones', old: [set('o', 3)], now: set('nn', 2, 0), want: [] },
  {
    name: 'takes unhealthy ones first',
    old: [set('o', 2), set('oo', 2, 0)],
    now: set('nn', 1, 1),
    want: ['oo 0'],
  },
  { name: 'goes on when new ones are available', old: [set('o', 3)], now: set('nn', 2, 2), want: ['o 1'] },
  {
    name: 'takes nothing that an old one still tells of, scaled down a moment ago',
    old: [set('o', 3, 4)],
    now: set('nn', 2, 1),
    want: ['o 2'],
  },
  { name: 'ends with none', old: [set('o', 1)], now: set('nn', 4, 4), want: ['o 0'] },
])('planScaleDown() $name', ({ old, now, want }) => {
  const scales = planScaleDown(deployment(4, 1, 1), now, old);
  expect(scales.map(({ replicaSet, replicas }) => `${replicaSet.metadata?.name} ${replicas}`)).toEqual(want);
});

const annotated = (one: ReplicaSet, most: number, desired: number): ReplicaSet => ({
  ...one,
  metadata: {
    ...one.metadata,
    annotations: {
      'deployment.kubernetes.io/desired-replicas': String(desired),
      'deployment.kubernetes.io/max-replicas': String(most),
    },
  },
});

it.each([
  { name: 'of one is that one', replicas: 10, all: [set('o', 4)], want: ['o 10'] },
  {
    name: 'of several keeps their shares',
    replicas: 20,
    all: [annotated(set('o', 8), 11, 10), annotated(set('nn', 3), 11, 10)],
    want: ['o 15', 'nn 6'],
  },
  {
    name: 'is a share of what there might have been, and the larger gets the rest',
    replicas: 20,
    all: [annotated(set('o', 8), 13, 10), annotated(set('nn', 2), 13, 10)],
    want: ['o 18', 'nn 3'],
  },
  { name: 'to nothing leaves nothing', replicas: 0, all: [set('o', 8), set('nn', 3)], want: ['o 0', 'nn 0'] },
  {
    name: 'of none is of the present template, though an old one is younger',
    replicas: 3,
    all: [set('oldest', 0), set('nn', 0)],
    want: ['nn 3'],
  },
  {
    name: 'ends old ones that the new one needs no more',
    replicas: 3,
    all: [annotated(set('o', 2), 4, 2), annotated(set('nn', 3), 4, 3)],
    want: ['o 0'],
  },
  {
    name: 'of several is none of Recreate',
    isRecreate: true,
    replicas: 9,
    all: [set('o', 2), set('nn', 3)],
    want: [],
  },
])('planScale() $name', ({ isRecreate = false, replicas, all, want }) => {
  const { spec = { selector: {}, template: {} } } = deployment(replicas, 1, 1);
  const scaled: Deployment = {
    spec: { ...spec, strategy: { ...spec.strategy, type: isRecreate ? 'Recreate' : 'RollingUpdate' } },
  };
  const scales = planScale(scaled, all.at(-1), all.slice(0, -1));
  expect(scales.map(({ replicaSet, replicas }) => `${replicaSet.metadata?.name} ${replicas}`)).toEqual(want);
});

interface Share {
  /** What there was and what is wanted, with the surge of then and of now. */
  readonly from: readonly [replicas: number, surge?: number];
  readonly to: readonly [replicas: number, surge?: number];
  /** Of the ReplicaSets, the youngest first. */
  readonly sizes: readonly number[];
  readonly want: readonly number[];
  /** Where the first of them is not of the present template. */
  readonly isOld?: boolean;
  /** Where the first is not available. */
  readonly isBroken?: boolean;
}

/** What kube-controller-manager's scale() makes of the ReplicaSets of a rollout. */
const shares: readonly Share[] = [
  { from: [10], to: [12], sizes: [10], want: [12] },
  { from: [10], to: [5], sizes: [10], want: [5] },
  { from: [5], to: [10], sizes: [2, 3], want: [4, 6] },
  { from: [5], to: [3], sizes: [2, 3], want: [1, 2] },
  { from: [9], to: [4], sizes: [8, 1], want: [4, 0] },
  { from: [7], to: [10], sizes: [2, 3, 2], want: [3, 4, 3] },
  { from: [13], to: [8], sizes: [2, 8, 3], want: [1, 5, 2] },
  { from: [3], to: [4], sizes: [1, 1, 1], want: [2, 1, 1] },
  { from: [3], to: [2], sizes: [1, 1, 1], want: [1, 1, 0] },
  { from: [4], to: [5], sizes: [2, 2], want: [3, 2], isOld: true },
  { from: [6], to: [0], sizes: [3, 2, 1], want: [0, 0, 0] },
  { from: [6], to: [6], sizes: [0, 0, 0], want: [6, 0, 0] },
  { from: [10, 2], to: [20, 2], sizes: [6, 6], want: [11, 11] },
  { from: [10, 3], to: [50, 6], sizes: [5, 8], want: [22, 34] },
  { from: [10], to: [14], sizes: [7, 3], want: [10, 4], isOld: true },
  { from: [2, 1], to: [2, 1], sizes: [2, 1], want: [2, 1], isBroken: true },
];

it.each(shares)('planScale() from $from to $to makes $sizes $want', ({ from, to, sizes, want, ...is }) => {
  const [replicas, surge = 0] = from;
  const all = sizes.map((size, nth) => {
    const available = is.isBroken === true && nth === 0 ? 0 : size;
    return annotated(set('n'.repeat(9 - nth), size, available), replicas + surge, replicas);
  });
  const [first, ...others] = all;
  const scaled = deployment(to[0], to[1] ?? 0, 1);
  const scales = is.isOld === true ? planScale(scaled, undefined, all) : planScale(scaled, first, others);
  const after = new Map(scales.map((one) => [one.replicaSet, one.replicas]));
  expect(all.map((one, nth) => after.get(one) ?? sizes[nth])).toEqual(want);
});

// Those of reconcileNewReplicaSet.
it.each([
  { surge: 0, old: 10, now: 0, want: 0 },
  { surge: 2, old: 10, now: 0, want: 2 },
  { surge: 2, old: 5, now: 0, want: 7 },
  { surge: 2, old: 10, now: 2, want: 2 },
  { surge: 2, old: 2, now: 11, want: 10 },
])('newReplicas() of 10, surge $surge, beside $old old ones: $want for $now', ({ surge, old, now, want }) => {
  expect(newReplicas(deployment(10, surge, 0), [set('o', old), set('nn', now)], now)).toBe(want);
});

// Those of reconcileOldReplicaSets and its parts, without a surge.
it.each([
  { unavailable: 0, old: [10, 10], now: [0, 0], want: [9] },
  { unavailable: 2, old: [10, 10], now: [0, 0], want: [8] },
  { unavailable: 2, old: [10, 8], now: [0, 0], want: [8] },
  { unavailable: 2, old: [10, 9], now: [0, 0], want: [8] },
  { unavailable: 2, old: [8, 8], now: [2, 0], want: [] },
  { unavailable: 2, old: [10, 1], now: [0, 0], want: [8] },
  { unavailable: 2, old: [0, 0], now: [10, 10], want: [] },
])('planScaleDown() of 10, unavailable $unavailable: $old, new $now', ({ unavailable, old, now, want }) => {
  const [replicas = 0, available] = old;
  const [newSize = 0, newAvailable] = now;
  const scales = planScaleDown(deployment(10, 0, unavailable), set('nn', newSize, newAvailable), [
    set('o', replicas, available),
  ]);
  expect(scales.map((one) => one.replicas)).toEqual(want);
});
