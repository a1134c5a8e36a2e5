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
])('fencepostsOf() of $replicas, $surge, $unavailable', ({ replicas, surge, unavailable, want }) => {
  expect(fencepostsOf(deployment(replicas, surge, unavailable))).toEqual(want);
});

it.each([
  { name: 'begins with the surge', all: [set('o', 4)], current: 0, want: 1 },
  { name: 'fills what is free', all: [set('o', 2), set('nn', 2)], current: 2, want: 3 },
  { name: 'never exceeds what is wanted', all: [set('nn', 4)], current: 4, want: 4 },
  { name: 'comes down to what is wanted', all: [set('nn', 6)], current: 6, want: 4 },
  { name: 'waits while there is no room', all: [set('o', 4), set('nn', 1)], current: 1, want: 1 },
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
