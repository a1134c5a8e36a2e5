import { expect, it } from 'vitest';
import type { EndpointAddress, Endpoints, EndpointSlice, Service } from '#api/generated/objects.ts';
import { planMirror } from './plan.ts';

const service: Service = {
  metadata: { name: 'db', namespace: 'default', uid: 's' },
  spec: { ports: [{ port: 5432 }] },
};
const healthy: Endpoints = {
  metadata: {
    name: 'db',
    namespace: 'default',
    uid: 'e',
    labels: { team: 'x', 'kubernetes.io/service-name': 'other' },
    annotations: {
      note: 'kept',
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
      'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z',
    },
  },
  subsets: [
    {
      addresses: [{ ip: '192.0.2.1', hostname: 'one', nodeName: 'n1' }, { ip: '2001:db8::1' }],
      notReadyAddresses: [{ ip: '192.0.2.2' }],
      ports: [{ port: 5432, protocol: 'TCP' }],
    },
  ],
};

const plan = (endpoints: Endpoints | undefined, existing: readonly EndpointSlice[] = [], of?: Service) =>
  planMirror({ endpoints, service: of ?? service }, existing).slices;

const stored = (slices: readonly EndpointSlice[]): readonly EndpointSlice[] =>
  slices.map((slice, index) => ({ ...slice, metadata: { ...slice.metadata, name: `db-${index}` } }));

const withMetadata = (change: Endpoints['metadata']): Endpoints => ({
  ...healthy,
  metadata: { ...healthy.metadata, ...change },
});

const addressesOf = (slices: readonly EndpointSlice[]): unknown =>
  slices.map(({ endpoints }) => endpoints?.map(({ addresses }) => addresses[0]));

it('planMirror() copies labels, annotations, ports and addresses, a slice for each address family', () => {
  const metadata = {
    generateName: 'db-',
    namespace: 'default',
    labels: {
      team: 'x',
      'kubernetes.io/service-name': 'db',
      'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
    },
    annotations: { note: 'kept' },
    ownerReferences: [
      {
        apiVersion: 'v1',
        kind: 'Endpoints',
        name: 'db',
        uid: 'e',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
  const ports = [{ name: '', port: 5432, protocol: 'TCP' }];
  expect(plan(healthy).create).toEqual([
    {
      addressType: 'IPv4',
      metadata,
      ports,
      endpoints: [
        { addresses: ['192.0.2.1'], conditions: { ready: true }, hostname: 'one', nodeName: 'n1' },
        { addresses: ['192.0.2.2'], conditions: { ready: false } },
      ],
    },
    {
      addressType: 'IPv6',
      metadata,
      ports,
      endpoints: [{ addresses: ['2001:db8::1'], conditions: { ready: true } }],
    },
  ]);
});

it('planMirror() writes nothing when nothing changed', () => {
  const existing = stored(plan(healthy).create);
  expect(plan(healthy, existing)).toEqual({ create: [], update: [], delete: [] });
});

const none = { create: 0, update: 0, delete: 0 };

it.each([
  { name: 'its Endpoints go', given: undefined, want: { ...none, delete: 2 } },
  {
    name: 'its Endpoints wait for their dependents',
    given: withMetadata({ deletionTimestamp: '2026-01-01T00:00:00Z' }),
    want: { ...none, delete: 2 },
  },
  {
    name: 'its Endpoints are not to be mirrored',
    given: withMetadata({ labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }),
    want: { ...none, delete: 2 },
  },
  {
    name: 'skip-mirror is something else',
    given: withMetadata({ labels: { 'endpointslice.kubernetes.io/skip-mirror': 'false' } }),
    want: { ...none, update: 2 },
  },
  {
    name: 'its Endpoints are a lock',
    given: withMetadata({ annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } }),
    want: { ...none, delete: 2 },
  },
  {
    name: 'a label changes',
    given: withMetadata({ labels: { team: 'y' } }),
    want: { ...none, update: 2 },
  },
  {
    name: 'the last annotation goes',
    given: withMetadata({ annotations: undefined }),
    want: { ...none, update: 2 },
  },
  {
    name: 'no address of a family is left',
    given: { ...healthy, subsets: [{ ...healthy.subsets?.[0], addresses: [{ ip: '192.0.2.1' }] }] },
    want: { ...none, update: 1, delete: 1 },
  },
  {
    name: 'the ports change',
    given: {
      ...healthy,
      subsets: [{ ...healthy.subsets?.[0], ports: [{ port: 5433, protocol: 'TCP' as const }] }],
    },
    want: { ...none, update: 2 },
  },
  { name: 'there is no subset', given: { ...healthy, subsets: undefined }, want: { ...none, delete: 2 } },
])('planMirror() when $name', ({ given, want }) => {
  const { create, update, delete: gone } = plan(given, stored(plan(healthy).create));
  expect({ create: create.length, update: update.length, delete: gone.length }).toEqual(want);
});

it.each([
  { name: 'there is no Service', of: undefined, want: 2 },
  { name: 'the Service got a selector', of: { ...service, spec: { selector: { app: 'db' } } }, want: 2 },
  { name: 'the selector of the Service is empty', of: { ...service, spec: { selector: {} } }, want: 0 },
])('planMirror() removes what it wrote when $name', ({ of, want }) => {
  const existing = stored(plan(healthy).create);
  const { slices } = planMirror({ endpoints: healthy, service: of }, existing);
  expect(slices).toEqual({ create: [], update: [], delete: existing.slice(0, want) });
});

it('planMirror() puts subsets with the same ports together and the others apart', () => {
  const subset = (ip: string, port: number) => ({
    addresses: [{ ip }],
    ports: [{ name: 'a', port, appProtocol: 'http' }],
  });
  const subsets = [subset('192.0.2.1', 1), subset('192.0.2.2', 2), subset('192.0.2.3', 1)];
  const { create } = plan({ ...healthy, subsets });
  expect(addressesOf(create)).toEqual([['192.0.2.1', '192.0.2.3'], ['192.0.2.2']]);
  expect(create[1]?.ports).toEqual([{ name: 'a', port: 2, protocol: 'TCP', appProtocol: 'http' }]);
});

it('planMirror() takes 1000 addresses of a subset, ready ones first, and says how many it left out', () => {
  const many = (network: number, count: number): readonly EndpointAddress[] =>
    Array.from({ length: count }, (_, host) => ({
      ip: `10.${network}.${Math.floor(host / 250)}.${(host % 250) + 1}`,
    }));
  const subsets = [{ addresses: many(1, 700), notReadyAddresses: many(2, 400), ports: [{ port: 1 }] }];
  const { slices, skippedCount } = planMirror({ endpoints: { ...healthy, subsets }, service }, []);
  const [slice, ...others] = slices.create;
  const ready = slice?.endpoints?.filter(({ conditions }) => conditions?.ready === true);
  expect([slice?.endpoints?.length, ready?.length, others.length, skippedCount]).toEqual([1000, 700, 0, 100]);
});

it.each([
  {
    name: 'a port that is told of twice is in one slice, and an address of both ready only if it is both times',
    subsets: [
      {
        addresses: [{ ip: '192.0.2.1' }, { ip: '192.0.2.2' }],
        notReadyAddresses: [{ ip: '192.0.2.3' }],
        ports: [{ port: 80 }],
      },
      { addresses: [{ ip: '192.0.2.3' }], notReadyAddresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80 }] },
    ],
    want: ['80: 192.0.2.2 192.0.2.1! 192.0.2.3!'],
  },
  {
    name: 'ports of the same addresses are together',
    subsets: [
      { addresses: [{ ip: '192.0.2.1' }], ports: [{ name: 'a', port: 80 }] },
      { addresses: [{ ip: '192.0.2.1' }], ports: [{ name: 'b', port: 443 }] },
    ],
    want: ['80,443: 192.0.2.1'],
  },
  {
    name: 'ports of other addresses are not',
    subsets: [
      {
        addresses: [{ ip: '192.0.2.1' }],
        ports: [
          { name: 'a', port: 80 },
          { name: 'b', port: 443 },
        ],
      },
      { addresses: [{ ip: '192.0.2.2' }], ports: [{ name: 'a', port: 80 }] },
    ],
    want: ['80: 192.0.2.1 192.0.2.2', '443: 192.0.2.1'],
  },
  {
    name: 'addresses without ports stay',
    subsets: [{ addresses: [{ ip: '192.0.2.1' }] }],
    want: [': 192.0.2.1'],
  },
])('planMirror(): $name', ({ subsets, want }) => {
  const told = plan({ ...healthy, subsets }).create.map(({ ports = [], endpoints = [] }) => {
    const addresses = endpoints.map((one) => one.addresses[0] + (one.conditions?.ready === true ? '' : '!'));
    return `${ports.map(({ port }) => port).join()}: ${addresses.join(' ')}`;
  });
  expect(told).toEqual(want);
});
