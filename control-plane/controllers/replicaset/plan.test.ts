import { expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { labelSelectorFromMap } from '#api/meta/selector.ts';
import { OwnedPods } from '#control-plane/controllers/pods/owned-pods.ts';
import { computeReplicaStatus, planReplicas } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2);
const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };

function pod(name: string, change: Pod = {}): Pod {
  return {
    metadata: {
      name,
      uid: name,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: 'a' },
      ...change.metadata,
    },
    spec: { containers: [], nodeName: 'n1', ...change.spec },
    status: { phase: 'Running', conditions: [ready], ...change.status },
  };
}

function ownedOf(pods: readonly Pod[]): OwnedPods {
  const owned = new OwnedPods({
    isSelected: () => true,
    templateLabels: labelSelectorFromMap({ app: 'a', v: '1' }),
    minReadySeconds: 0,
  });
  for (const one of pods) owned.put(one.metadata?.name ?? '', one);
  return owned;
}

const notReady = { phase: 'Running' as const, conditions: [] };

const rows: readonly {
  readonly name: string;
  readonly pods: readonly Pod[];
  readonly replicas: number;
  readonly deleted?: readonly string[];
  readonly want: { readonly create?: number; readonly delete?: readonly string[] };
}[] = [
  { name: 'creates what is missing', pods: [pod('a')], replicas: 3, want: { create: 2 } },
  { name: 'leaves the right number alone', pods: [pod('a')], replicas: 1, want: {} },
  {
    name: 'replaces finished pods',
    pods: [pod('a', { status: { phase: 'Failed' } })],
    replicas: 1,
    want: { create: 1 },
  },
  {
    name: 'replaces terminating pods',
    pods: [pod('a', { metadata: { deletionTimestamp: 'x' } })],
    replicas: 1,
    want: { create: 1 },
  },
  {
    name: 'counts a deletion that the cache does not show',
    pods: [pod('a'), pod('b')],
    replicas: 1,
    deleted: ['a'],
    want: {},
  },
  {
    name: 'deletes pods without a node first',
    pods: [
      pod('a', { status: notReady }),
      pod('b', { spec: { containers: [], nodeName: '' }, status: { phase: 'Pending' } }),
    ],
    replicas: 1,
    want: { delete: ['b'] },
  },
  {
    name: 'deletes pods that are not ready first',
    pods: [pod('a'), pod('b', { status: notReady })],
    replicas: 1,
    want: { delete: ['b'] },
  },
  {
    name: 'deletes cheaper pods first',
    pods: [
      pod('a', { metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } } }),
      pod('b'),
    ],
    replicas: 1,
    want: { delete: ['a'] },
  },
  {
    name: 'deletes from the fuller node first',
    pods: [pod('a', { spec: { containers: [], nodeName: 'n2' } }), pod('b'), pod('c')],
    replicas: 2,
    want: { delete: ['b'] },
  },
  {
    name: 'deletes the younger first',
    pods: [pod('a'), pod('b', { metadata: { creationTimestamp: '2026-01-01T23:59:00Z' } })],
    replicas: 1,
    want: { delete: ['b'] },
  },
];

it.each(rows)('planReplicas() $name', ({ pods, replicas, deleted = [], want }) => {
  const going = pods.filter(({ metadata }) => deleted.includes(metadata?.uid ?? ''));
  const options = { deleted: new Map(going.map((one) => [one.metadata?.uid ?? '', one])), nowMs };
  const plan = planReplicas({ replicas, isDeleting: false }, ownedOf(pods), options);
  expect(plan.createCount).toBe(want.create ?? 0);
  expect(plan.deletePods.map(({ metadata }) => metadata?.name)).toEqual(want.delete ?? []);
});

it('planReplicas() deletes first where all that is rolled out together has more pods, finished ones aside', () => {
  const of = (name: string, nodeName: string, change: Pod = {}): Pod =>
    pod(name, { ...change, spec: { containers: [], nodeName } });
  const pods = [of('a', 'n1'), of('b', 'n2')];
  const others = [
    of('c', 'n2'),
    ...['d', 'e'].map((name) => of(name, 'n1', { status: { phase: 'Failed' } })),
  ];
  const options = { deleted: new Map<string, Pod>(), nowMs, related: () => [...pods, ...others] };
  const plan = planReplicas({ replicas: 1, isDeleting: false }, ownedOf(pods), options);
  expect(plan.deletePods.map(({ metadata }) => metadata?.name)).toEqual(['b']);
});

it('computeReplicaStatus() counts pods that go, and are not over', () => {
  const metadata = { deletionTimestamp: 'x' };
  const pods = [pod('a', { metadata }), pod('b', { metadata, status: { phase: 'Succeeded' } })];
  const counts = ownedOf(pods.map((one, at) => ({ ...one, metadata: { ...one.metadata, name: `${at}` } })));
  const options = { failure: undefined, nowMs };
  expect(
    computeReplicaStatus({ generation: 1, status: undefined }, counts.counts(nowMs), options),
  ).toMatchObject({ replicas: 0, terminatingReplicas: 1 });
});

it('planReplicas() does nothing for an owner that is going', () => {
  const options = { deleted: new Map<string, Pod>(), nowMs };
  expect(planReplicas({ replicas: 3, isDeleting: true }, ownedOf([]), options)).toEqual({
    createCount: 0,
    deletePods: [],
  });
});

it('computeReplicaStatus() counts ready, available and fully labelled pods, and says why it failed', () => {
  const owner = {
    generation: 3,
    status: undefined,
  };
  const pods = [pod('a', { metadata: { labels: { app: 'a', v: '1' } } }), pod('b', { status: notReady })];
  const failure = { reason: 'FailedCreate', message: 'quota' };
  expect(computeReplicaStatus(owner, ownedOf(pods).counts(nowMs), { failure, nowMs })).toEqual({
    replicas: 2,
    fullyLabeledReplicas: 1,
    readyReplicas: 1,
    availableReplicas: 1,
    terminatingReplicas: 0,
    observedGeneration: 3,
    conditions: [
      { type: 'ReplicaFailure', status: 'True', ...failure, lastTransitionTime: '2026-01-02T00:00:00Z' },
    ],
  });
});

it('computeReplicaStatus() says why it failed once, whatever pod it was, until it works again', () => {
  const about = { generation: 1 };
  const none = ownedOf([]).counts(nowMs);
  const first = { reason: 'FailedCreate', message: 'pods "a-1" is forbidden' };
  const said = computeReplicaStatus({ ...about, status: undefined }, none, { failure: first, nowMs });
  const again = { reason: 'FailedCreate', message: 'pods "a-2" is forbidden' };
  expect(
    computeReplicaStatus({ ...about, status: said }, none, { failure: again, nowMs: nowMs + 1000 }),
  ).toEqual(said);
  const well = computeReplicaStatus({ ...about, status: said }, none, { failure: undefined, nowMs });
  expect(well.conditions).toBeUndefined();
});
