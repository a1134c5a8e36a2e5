import { expect, it } from 'vitest';
import type {
  Device,
  DeviceClass,
  Node,
  ResourceSlice,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { allocate, cannotAllocate, type Allocated } from './allocate.ts';
import { claim, device, deviceClass, driver, request, slice, withSelector } from './devices.fixture.ts';
import { indexPools } from './pools.ts';
import { renderAllocation } from './render-allocation.ts';
import { DeviceLedger } from './taken-devices.ts';

const node: Node = { metadata: { name: 'n1', labels: { zone: 'a' } } };
const [a, b, c] = [device('a'), device('b'), device('c')];
const numa = (name: string, id: number): Device => device(name, { attributes: { numa: { int: id } } });
const part = (name: string, memory: string): Device =>
  device(name, { consumesCounters: [{ counterSet: 'card', counters: { memory: { value: memory } } }] });
const shared = device('nic', {
  allowMultipleAllocations: true,
  capacity: {
    bandwidth: {
      value: '10',
      requestPolicy: { default: '1', validRange: { min: '1', step: '2', max: '9' } },
    },
  },
});
const taint = { key: 'broken', effect: 'NoSchedule' } as const;
const named = (pool: string, generation = 1, resourceSliceCount = 1) => ({
  pool: { name: pool, generation, resourceSliceCount },
});

interface Row {
  readonly name: string;
  readonly slices?: readonly ResourceSlice[];
  readonly claims: readonly ResourceClaim[];
  readonly classes?: readonly DeviceClass[];
  /** Claims that have devices already. */
  readonly before?: readonly ResourceClaim[];
  /** `request=device` of each claim, or the reason. */
  readonly want: readonly string[] | string;
}

const one = (change = {}): ResourceClaim => claim('c', [request('r', change)]);
const all = one({ allocationMode: 'All', count: undefined });
const has = (...devices: readonly (readonly [name: string, more?: object])[]): ResourceClaim => ({
  ...claim('other', []),
  status: {
    allocation: {
      devices: {
        results: devices.map(([name, more]) => ({ request: 'r', driver, pool: 'n1', device: name, ...more })),
      },
    },
  },
});
const matched = (attribute: 'matchAttribute' | 'distinctAttribute', requests?: readonly string[]) =>
  claim('c', [request('r', { count: 2 })], {
    constraints: [{ [attribute]: `${driver}/numa`, ...(requests === undefined ? {} : { requests }) }],
  });
const ways = (...names: readonly string[]): ResourceClaim =>
  claim('c', [
    {
      name: 'r',
      firstAvailable: names.map((name) => ({
        name,
        deviceClassName: 'gpu',
        ...withSelector(`device.attributes['${driver}'].numa == ${name.slice(1)}`),
      })),
    },
  ]);
const sets = slice([], {
  ...named('n1', 1, 2),
  sharedCounters: [{ name: 'card', counters: { memory: { value: '40Gi' } } }],
});
const parts = (...devices: readonly Device[]) => [sets, slice(devices, named('n1', 1, 2))];

const rows: readonly Row[] = [
  { name: 'the first that is free', claims: [one()], want: ['r=a'] },
  { name: 'not what another has', claims: [one()], before: [has(['a'])], want: ['r=b'] },
  {
    name: 'what an admin looks at',
    claims: [one()],
    before: [has(['a', { adminAccess: true }])],
    want: ['r=a'],
  },
  {
    name: 'as an admin what another has',
    claims: [one({ adminAccess: true })],
    before: [has(['a'])],
    want: ['r=a'],
  },
  { name: 'several', claims: [one({ count: 2 })], want: ['r=a r=b'] },
  { name: 'more than there are', claims: [one({ count: 4 })], want: cannotAllocate },
  { name: 'two claims', claims: [one(), claim('d', [request('s'), request('t')])], want: ['r=a', 's=b t=c'] },
  { name: 'all', claims: [all], want: ['r=a r=b r=c'] },
  { name: 'all, of which one is taken', claims: [all], before: [has(['b'])], want: cannotAllocate },
  { name: 'all of none', slices: [], claims: [all], want: cannotAllocate },
  {
    name: 'more than a claim may have',
    claims: [one({ count: 33 })],
    want: 'claim default/c: number of requested devices 33 exceeds the claim limit of 32',
  },
  {
    name: 'no class',
    claims: [one({ deviceClassName: 'nic' })],
    want: 'claim default/c, request r: could not retrieve device class nic: not found',
  },
  {
    name: 'what the class asks',
    claims: [one()],
    classes: [deviceClass('gpu', { selectors: [{ cel: { expression: `device.driver == 'x'` } }] })],
    want: cannotAllocate,
  },
  {
    name: 'what the request asks, taking back what was chosen before',
    slices: [slice([numa('a', 1), numa('b', 0)])],
    claims: [
      claim('c', [request('r'), request('s', withSelector(`device.attributes['${driver}'].numa == 1`))]),
    ],
    want: ['r=b s=a'],
  },
  {
    name: 'a condition that fails',
    claims: [one(withSelector(`device.attributes['${driver}'].numa == 1`))],
    want: 'claim default/c, request r: selector #0: CEL runtime error: no such key: numa',
  },
  {
    name: 'alike',
    slices: [slice([numa('a', 0), numa('b', 1), numa('c', 1)])],
    claims: [matched('matchAttribute')],
    want: ['r=b r=c'],
  },
  {
    name: 'different',
    slices: [slice([numa('a', 1), numa('b', 1), numa('c', 2)])],
    claims: [matched('distinctAttribute')],
    want: ['r=a r=c'],
  },
  {
    name: 'alike, of another request',
    slices: [slice([numa('a', 0), numa('b', 1)])],
    claims: [matched('matchAttribute', ['s'])],
    want: ['r=a r=b'],
  },
  { name: 'alike without the attribute', claims: [matched('matchAttribute')], want: cannotAllocate },
  {
    name: 'the first way that can be had',
    slices: [slice([numa('a', 0), numa('b', 1)])],
    claims: [ways('n7', 'n1', 'n0')],
    want: ['r/n1=b'],
  },
  {
    name: 'not what is tainted',
    slices: [slice([device('a', { taints: [taint] }), b])],
    claims: [one()],
    want: ['r=b'],
  },
  {
    name: 'what is tainted and tolerated',
    slices: [slice([device('a', { taints: [taint] }), b])],
    claims: [one({ tolerations: [{ key: 'broken', operator: 'Exists' }] })],
    want: ['r=a'],
  },
  {
    name: 'what is tainted without effect',
    slices: [slice([device('a', { taints: [{ ...taint, effect: 'None' }] })])],
    claims: [one()],
    want: ['r=a'],
  },
  {
    name: 'parts of a card as long as there is memory',
    slices: parts(part('half-0', '20Gi'), part('whole', '40Gi'), part('half-1', '20Gi')),
    claims: [one({ count: 2 })],
    want: ['r=half-0 r=half-1'],
  },
  {
    name: 'not the whole of a card of which a part is taken',
    slices: parts(part('half-0', '20Gi'), part('whole', '40Gi')),
    claims: [one()],
    before: [has(['half-0'])],
    want: cannotAllocate,
  },
  {
    name: 'shares as long as there is capacity',
    slices: [slice([shared])],
    claims: [one({ capacity: { requests: { bandwidth: '4' } } }), claim('d', [request('s')])],
    want: ['r=nic:5', 's=nic:1'],
  },
  {
    name: 'no share of what is used up',
    slices: [slice([shared])],
    claims: [one({ capacity: { requests: { bandwidth: '4' } } })],
    before: [has(['nic', { shareID: 'x', consumedCapacity: { bandwidth: '6' } }])],
    want: cannotAllocate,
  },
  {
    name: 'no share beyond what may be asked for',
    slices: [slice([shared])],
    claims: [one({ capacity: { requests: { bandwidth: '10' } } })],
    want: cannotAllocate,
  },
  {
    name: 'only what is large enough',
    slices: [slice([a, device('b', { capacity: { memory: { value: '8Gi' } } })])],
    claims: [one({ capacity: { requests: { memory: '4Gi' } } })],
    want: ['r=b'],
  },
  {
    name: 'nothing of a pool that is not whole',
    slices: [slice([a], named('n1', 1, 2))],
    claims: [one()],
    want: cannotAllocate,
  },
  {
    name: 'all of a pool that is not whole',
    slices: [slice([a], named('n1', 1, 2))],
    claims: [all],
    want: `claim default/c, request r: asks for all devices, but resource pool ${driver}/n1 is currently being updated`,
  },
  {
    name: 'only what is of the newest generation',
    slices: [slice([a]), slice([b], named('n1', 2))],
    claims: [one()],
    want: ['r=b'],
  },
  {
    name: 'nothing of a pool with a name twice',
    slices: [slice([a], named('n1', 1, 2)), slice([b, a], named('n1', 1, 2))],
    claims: [one()],
    want: 'invalid resource pools were encountered',
  },
  {
    name: 'not what is of another node',
    slices: [slice([a], { nodeName: 'n2' })],
    claims: [one()],
    want: cannotAllocate,
  },
  { name: 'what is of all nodes', slices: [slice([a], { allNodes: true })], claims: [one()], want: ['r=a'] },
  {
    name: 'what is of some nodes',
    slices: [
      slice([a], { ...named('far'), nodeSelector: zone('b') }),
      slice([b], { ...named('near'), nodeSelector: zone('a') }),
    ],
    claims: [one()],
    want: ['r=b'],
  },
  {
    name: 'what each device says of nodes',
    slices: [
      slice([device('a', { nodeName: 'n2' }), device('b', { nodeSelector: zone('a') })], {
        perDeviceNodeSelection: true,
      }),
    ],
    claims: [one()],
    want: ['r=b'],
  },
  {
    name: 'what need not wait first',
    slices: [slice([device('a', { bindingConditions: ['Ready'] })], named('x')), slice([b], named('y'))],
    claims: [one()],
    want: ['r=b'],
  },
];

function zone(value: string) {
  return {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In' as const, values: [value] }] }],
  };
}

function run({
  slices = [slice([a, b, c])],
  claims,
  classes = [deviceClass('gpu')],
  before = [],
}: Row): Allocated {
  const taken = new DeviceLedger();
  for (const [index, each] of before.entries()) taken.set(`default/${index}`, each);
  return allocate({
    claims,
    taken,
    pools: indexPools(slices).for(node),
    deviceClass: (name) => classes.find(({ metadata }) => metadata?.name === name),
  });
}

it.each(rows)('gives $name', (row) => {
  const allocated = run(row);
  const text =
    allocated.kind === 'refused'
      ? allocated.reason
      : allocated.claims.map(({ picks }) =>
          picks
            .map(({ wanted, of, share }) => {
              const amount = share === undefined ? '' : `:${(share.get('bandwidth') ?? 0n) / 1_000_000_000n}`;
              return `${wanted.name}=${of.device.name}${amount}`;
            })
            .join(' '),
        );
  expect(text).toEqual(row.want);
});

it('gives up a search without end', () => {
  const devices = Array.from({ length: 24 }, (_, index) => numa(`d${index}`, index));
  const requests = Array.from({ length: 12 }, (_, index) => request(`r${index}`));
  const constraints = [{ matchAttribute: `${driver}/numa`, requests: ['r10', 'r11'] }];
  const allocated = run({
    name: '',
    slices: [slice(devices)],
    claims: [claim('c', requests, { constraints })],
    want: '',
  });
  expect(allocated).toEqual({ kind: 'refused', reason: 'timed out trying to allocate devices' });
});

it('says in the status of a claim what it was given, with what is for the driver and for which nodes that is', () => {
  const opaque = (parameters: object) => ({ opaque: { driver, parameters } });
  const asked = claim(
    'c',
    [request('r'), request('s', { tolerations: [{ key: 'k', operator: 'Exists' }] })],
    {
      config: [
        { requests: ['s'], ...opaque({ of: 'claim' }) },
        { requests: ['gone'], ...opaque({}) },
      ],
    },
  );
  const allocated = run({
    name: '',
    slices: [
      slice([a], { ...named('x'), nodeSelector: zone('a') }),
      slice([{ ...shared, bindingConditions: ['Ready'] }], { ...named('y'), allNodes: true }),
    ],
    claims: [asked],
    classes: [deviceClass('gpu', { config: [opaque({ of: 'class' })] })],
    want: '',
  });
  if (allocated.kind === 'refused') throw new Error(allocated.reason);
  const [picks] = allocated.claims;
  if (picks === undefined) throw new Error('no claim');
  expect(renderAllocation(picks, { nodeName: 'n1', nowMs: 0, newId: () => 'uuid' })).toEqual({
    devices: {
      results: [
        { request: 'r', driver, pool: 'x', device: 'a' },
        {
          ...{ request: 's', driver, pool: 'y', device: 'nic' },
          tolerations: [{ key: 'k', operator: 'Exists' }],
          bindingConditions: ['Ready'],
          shareID: 'uuid',
          consumedCapacity: { bandwidth: '1' },
        },
      ],
      config: [
        { source: 'FromClass', ...opaque({ of: 'class' }) },
        { source: 'FromClaim', requests: ['s'], ...opaque({ of: 'claim' }) },
      ],
    },
    nodeSelector: zone('a'),
    allocationTimestamp: '1970-01-01T00:00:00Z',
  });
});
