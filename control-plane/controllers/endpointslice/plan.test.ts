import { expect, it } from 'vitest';
import type { EndpointSlice, Pod, Service } from '#api/generated/objects.ts';
import { MissingNodes } from './missing-nodes.ts';
import { computeEndpoints, planSlices } from './plan.ts';

const service: Service = {
  metadata: { name: 'web', namespace: 'default', uid: 's', labels: { team: 'x' } },
  spec: {
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 'web' }],
    clusterIP: '10.96.0.1',
  },
};

function pod(
  number: number,
  change: {
    readonly port?: number;
    readonly isReady?: boolean;
    readonly isGoing?: boolean;
    readonly phase?: 'Running' | 'Failed';
  } = {},
): Pod {
  const { port = 8080, isReady = true, isGoing = false, phase = 'Running' } = change;
  const name = `p${number}`;
  return {
    metadata: { name, namespace: 'default', uid: name, ...(isGoing ? { deletionTimestamp: 'x' } : {}) },
    spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ name: 'web', containerPort: port }] }] },
    status: {
      phase,
      podIP: `10.0.${Math.floor(number / 250)}.${(number % 250) + 1}`,
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
    },
  };
}

const plan = (pods: readonly Pod[], existing: readonly EndpointSlice[] = [], of = service) =>
  planSlices(
    { service: of, pods, nodeOf: () => ({ metadata: { labels: { 'topology.kubernetes.io/zone': 'z' } } }) },
    existing,
  );

const stored = (slices: readonly EndpointSlice[]): readonly EndpointSlice[] =>
  slices.map((slice, index) => ({ ...slice, metadata: { ...slice.metadata, name: `web-${index}` } }));

it('planSlices() makes a slice that names Service, port, node, zone and pod', () => {
  const { create } = plan([pod(1)]);
  expect(create).toMatchObject([
    {
      addressType: 'IPv4',
      metadata: {
        generateName: 'web-',
        labels: {
          team: 'x',
          'kubernetes.io/service-name': 'web',
          'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        },
        ownerReferences: [{ kind: 'Service', name: 'web', uid: 's' }],
      },
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: ['10.0.0.2'],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: 'n1',
          zone: 'z',
          targetRef: { kind: 'Pod', namespace: 'default', name: 'p1', uid: 'p1' },
        },
      ],
    },
  ]);
});

it.each([
  {
    name: 'not ready',
    change: { isReady: false },
    want: { ready: false, serving: false, terminating: false },
  },
  {
    name: 'terminating but serving',
    change: { isGoing: true },
    want: { ready: false, serving: true, terminating: true },
  },
  { name: 'finished', change: { phase: 'Failed' as const }, want: undefined },
])('planSlices() shows a pod that is $name', ({ change, want }) => {
  expect(plan([pod(1, change)]).create[0]?.endpoints?.[0]?.conditions).toEqual(want);
});

it('planSlices() publishes addresses that are not ready when asked', () => {
  const publishing = { ...service, spec: { ...service.spec, publishNotReadyAddresses: true } };
  expect(
    plan([pod(1, { isReady: false })], [], publishing).create[0]?.endpoints?.[0]?.conditions?.ready,
  ).toBe(true);
});

it.each([
  { distribution: undefined, want: undefined },
  { distribution: 'Unknown', want: undefined },
  { distribution: 'PreferClose', want: { forZones: [{ name: 'z' }] } },
  { distribution: 'PreferSameZone', want: { forZones: [{ name: 'z' }] } },
  { distribution: 'PreferSameNode', want: { forNodes: [{ name: 'n1' }], forZones: [{ name: 'z' }] } },
])('planSlices() hints at who is near for trafficDistribution $distribution', ({ distribution, want }) => {
  const near = { ...service, spec: { ...service.spec, trafficDistribution: distribution } };
  const endpoints = plan([pod(1), pod(2, { isReady: false })], [], near).create[0]?.endpoints;
  expect(endpoints?.map(({ hints }) => hints)).toEqual([want, undefined]);
});

it.each([
  { name: 'leaves out', publishNotReadyAddresses: false, want: ['10.0.0.2'] },
  {
    name: 'tells, where all are to be told,',
    publishNotReadyAddresses: true,
    want: ['10.0.0.2', '10.0.0.3'],
  },
])('planSlices() $name a pod of a node that is not there', ({ publishNotReadyAddresses, want }) => {
  const of = { ...service, spec: { ...service.spec, publishNotReadyAddresses } };
  const stranded = {
    ...pod(2),
    spec: { ...pod(2).spec, nodeName: 'gone', containers: pod(2).spec?.containers ?? [] },
  };
  const nodeOf = (name: string) => (name === 'gone' ? undefined : {});
  const { create } = planSlices({ service: of, pods: [pod(1), stranded], nodeOf }, []);
  expect(create[0]?.endpoints?.flatMap(({ addresses }) => addresses)).toEqual(want);
  const missing = new MissingNodes();
  missing.note('default/web', { service: of, pods: [pod(1), stranded], nodeOf });
  expect(missing.waitingFor('gone')).toEqual(publishNotReadyAddresses ? [] : ['default/web']);
  expect(missing.waitingFor('n1')).toEqual([]);
});

it('planSlices() takes hints away again', () => {
  const near = { ...service, spec: { ...service.spec, trafficDistribution: 'PreferSameNode' } };
  const existing = stored(plan([pod(1)], [], near).create);
  const [update] = plan([pod(1)], existing).update;
  expect(update?.endpoints?.[0]).not.toHaveProperty('hints');
});

it('planSlices() hints at no zone that it does not know', () => {
  const hintsFor = (trafficDistribution: string) => {
    const near = { ...service, spec: { ...service.spec, trafficDistribution } };
    const { create } = planSlices({ service: near, pods: [pod(1)], nodeOf: () => ({}) }, []);
    return create[0]?.endpoints?.[0]?.hints;
  };
  expect(hintsFor('PreferSameZone')).toBeUndefined();
  expect(hintsFor('PreferSameNode')).toEqual({ forNodes: [{ name: 'n1' }] });
});

it('planSlices() writes nothing when nothing changed', () => {
  const existing = stored(plan([pod(1), pod(2)]).create);
  expect(plan([pod(1), pod(2)], existing)).toEqual({ create: [], update: [], delete: [] });
});

it('planSlices() splits at 100 and touches one slice for one change', () => {
  const pods = Array.from({ length: 250 }, (_, number) => pod(number));
  const existing = stored(plan(pods).create);
  expect(existing.map(({ endpoints }) => endpoints?.length)).toEqual([100, 100, 50]);
  const changed = plan([pod(0, { isReady: false }), ...pods.slice(1)], existing);
  expect([changed.create.length, changed.update.length, changed.delete.length]).toEqual([0, 1, 0]);
});

/** What becomes of slices by the numbers of their endpoints: `web-0: 98 → 100`. */
function shownChange(existing: readonly EndpointSlice[], pods: readonly Pod[]): string {
  const changed = plan(pods, existing);
  const sizeOf = (slice: EndpointSlice | undefined): number => slice?.endpoints?.length ?? 0;
  const updates = changed.update.map((slice) => {
    const { name = '' } = slice.metadata ?? {};
    return `${name}: ${sizeOf(existing.find(({ metadata }) => metadata?.name === name))} → ${sizeOf(slice)}`;
  });
  const deletes = changed.delete.map(({ metadata }) => `without ${metadata?.name}`);
  return [...updates.toSorted(), ...changed.create.map((slice) => `new ${sizeOf(slice)}`), ...deletes].join(
    ', ',
  );
}

it.each<{
  readonly name: string;
  /** How many endpoints are in each. */
  readonly slices: readonly number[];
  /** Numbers of pods that go, that are ready no more, and how many come. */
  readonly go?: readonly number[];
  readonly change?: readonly number[];
  readonly come: number;
  readonly want: string;
}>([
  { name: 'into the one that they fill best', slices: [100, 40, 90], come: 7, want: 'web-2: 90 → 97' },
  { name: 'into none that has no room for all', slices: [99, 98], come: 3, want: 'new 3' },
  {
    name: 'into the one that is written anyway',
    slices: [99, 50],
    change: [120],
    come: 1,
    want: 'web-1: 50 → 51',
  },
  {
    name: 'into the fullest of those that are written anyway, then the next',
    slices: [60, 98, 99],
    change: [0, 60],
    come: 5,
    want: 'web-0: 60 → 63, web-1: 98 → 100',
  },
  { name: 'whole ones by themselves', slices: [95], come: 203, want: 'web-0: 95 → 98, new 100, new 100' },
  {
    name: 'whole ones by themselves, the rest into the fullest',
    ...{ slices: [62, 61], come: 127, want: 'web-0: 62 → 89, new 100' },
  },
  { name: 'into none rather than into two', slices: [74, 74], come: 152, want: 'new 100, new 52' },
  { name: 'in place of those that went', slices: [3], go: [0, 1, 2], come: 2, want: 'web-0: 3 → 2' },
  { name: 'into none when a slice only loses', slices: [2, 1], go: [2], come: 0, want: 'without web-1' },
])('planSlices() puts new endpoints $name', ({ slices, go = [], change = [], come, want }) => {
  const total = slices.reduce((sum, count) => sum + count, 0);
  const pods = Array.from({ length: total }, (_, number) => pod(number));
  const starts = slices.map((_, index) => slices.slice(0, index).reduce((sum, count) => sum + count, 0));
  const existing = stored(
    slices.flatMap((count, index) => {
      const start = starts[index] ?? 0;
      return plan(pods.slice(start, start + count)).create;
    }),
  );
  const kept = pods.flatMap((one, number) =>
    go.includes(number) ? [] : [change.includes(number) ? pod(number, { isReady: false }) : one],
  );
  const news = Array.from({ length: come }, (_, index) => pod(total + index));
  expect(shownChange(existing, [...kept, ...news])).toBe(want);
});

it('planSlices() has a slice of other ports take the place of the one before', () => {
  const existing = stored(plan([pod(1)]).create);
  const changed = plan([pod(1, { port: 9090 })], existing);
  expect(changed).toMatchObject({
    ...{ create: [], delete: [] },
    update: [
      { metadata: { name: 'web-0' }, ports: [{ port: 9090 }], endpoints: [{ addresses: ['10.0.0.2'] }] },
    ],
  });
});

it('planSlices() puts the first endpoints into the slice that says that there are none', () => {
  const existing = stored(plan([]).create);
  expect(shownChange(existing, [pod(1)])).toBe('web-0: 0 → 1');
});

it('planSlices() keeps apart pods whose named port is another number', () => {
  const { create } = plan([pod(1), pod(2, { port: 9090 })]);
  expect(create.map(({ ports }) => ports?.[0]?.port)).toEqual([8080, 9090]);
});

it('planSlices() leaves one empty slice when the last pod goes', () => {
  const existing = stored(plan([pod(1), pod(2, { port: 9090 })]).create);
  const emptied = plan([], existing);
  expect(emptied.update).toMatchObject([{ endpoints: [], ports: [] }]);
  expect([emptied.create.length, emptied.delete.length]).toEqual([0, 1]);
});

it('computeEndpoints() sorts addresses by readiness', () => {
  const { subsets, metadata } = computeEndpoints(
    { service, pods: [pod(2), pod(1), pod(3, { isReady: false })] },
    undefined,
  );
  expect(metadata).toMatchObject({
    name: 'web',
    labels: { 'endpoints.kubernetes.io/managed-by': 'endpoint-controller' },
  });
  expect(
    subsets?.map(({ addresses, notReadyAddresses, ports }) => [
      addresses?.map(({ ip }) => ip),
      notReadyAddresses?.length,
      ports,
    ]),
  ).toEqual([[['10.0.0.2', '10.0.0.3'], 1, [{ name: 'http', port: 8080, protocol: 'TCP' }]]]);
});

it.each(['127.0.0.1', '169.254.169.254', 'evil.example', '0.0.0.0'])(
  'planSlices() leaves out a pod that claims %s, and only that one',
  (podIP) => {
    const liar = pod(2);
    const { create } = plan([pod(1), { ...liar, status: { ...liar.status, podIP } }]);
    expect(create.flatMap(({ endpoints = [] }) => endpoints.flatMap(({ addresses }) => addresses))).toEqual([
      '10.0.0.2',
    ]);
  },
);

it.each([
  { name: 'those that are not ready', ready: 900, notReady: 300, want: [900, 100] },
  { name: 'all that are not ready, and some', ready: 1200, notReady: 300, want: [1000, 0] },
  { name: 'none', ready: 700, notReady: 300, want: [700, 300] },
])('computeEndpoints() of many pods leaves out $name', ({ ready, notReady, want }) => {
  const pods = Array.from({ length: ready + notReady }, (_, number) =>
    pod(number, { isReady: number >= notReady, port: number % 2 === 0 ? 8080 : 9090 }),
  );
  const { subsets = [], metadata } = computeEndpoints({ service, pods }, undefined);
  const count = (field: 'addresses' | 'notReadyAddresses') =>
    subsets.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0);
  expect([count('addresses'), count('notReadyAddresses')]).toEqual(want);
  const [first, second] = subsets.map(({ addresses = [] }) => addresses.length);
  expect(first).toBe(second);
  const isOver = ready + notReady > 1000;
  expect(metadata?.annotations?.['endpoints.kubernetes.io/over-capacity']).toBe(
    isOver ? 'truncated' : undefined,
  );
});
