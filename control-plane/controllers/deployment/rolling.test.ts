import { expect, it } from 'vitest';
import type { Deployment, ReplicaSet } from '#api/generated/objects.ts';
import { fencepostsOf, newReplicas, planProportionalScale, planScaleDown } from './rolling.ts';

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

it.each([
  { name: 'of one is that one', replicas: 10, all: [set('o', 4)], want: ['o 10'] },
  {
    name: 'of several keeps their shares',
    replicas: 20,
    all: [set('o', 8), set('nn', 3)],
    want: ['o 15', 'nn 6'],
  },
  { name: 'to nothing leaves nothing', replicas: 0, all: [set('o', 8), set('nn', 3)], want: ['o 0', 'nn 0'] },
])('planProportionalScale() $name', ({ replicas, all, want }) => {
  const scales = planProportionalScale(deployment(replicas, 1, 1), all);
  expect(scales.map(({ replicaSet, replicas }) => `${replicaSet.metadata?.name} ${replicas}`)).toEqual(want);
});
