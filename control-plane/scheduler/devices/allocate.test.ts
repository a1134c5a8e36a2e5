import { expect, it } from 'vitest';
import type {
  Device,
  DeviceRequest,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { cannotAllocate } from './allocate.ts';
import {
  allocateOn,
  claim,
  counts,
  device,
  deviceClass,
  driver,
  multi,
  named,
  request,
  shared,
  slice,
  withSelector,
  zone,
  type Given,
} from './devices.fixture.ts';

const [a, b, c] = [device('a'), device('b'), device('c')];
const numa = (name: string, id: number): Device => device(name, { attributes: { numa: { int: id } } });
const part = (name: string, memory: string): Device =>
  device(name, { consumesCounters: [{ counterSet: 'card', counters: { memory: { value: memory } } }] });
const taint = { key: 'broken', effect: 'NoSchedule' } as const;
const wide = (name: string, value: string): Device => multi(name, { capacity: { bandwidth: { value } } });
const asking = (bandwidth: string) => ({ capacity: { requests: { bandwidth } } });
const noNuma = (name: string): string =>
  `${driver}/n1/${name}: CEL runtime error: no such key: numa. consider using CEL optional chaining (.? followed by orValue()) or guarding the check with has() for optional fields`;
const many = (count: number) => Array.from({ length: count }, (_, index) => device(`d${index}`));

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
const ways2: DeviceRequest = {
  name: 's',
  firstAvailable: [
    { name: 'n1', deviceClassName: 'gpu', ...withSelector(`device.attributes['${driver}'].numa == 1`) },
    { name: 'any', deviceClassName: 'gpu' },
  ],
};
const sets = slice([], {
  ...named('n1', 1, 2),
  sharedCounters: [{ name: 'card', counters: { memory: { value: '40Gi' } } }],
});
const parts = (...devices: readonly Device[]) => [sets, slice(devices, named('n1', 1, 2))];

interface Row extends Given {
  readonly name: string;
  /** `request=device` of each claim, or the reason; of what is wrong whatever the node behind `failed: `. */
  readonly want: readonly string[] | string;
}

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
    want: `failed: claim default/c: selector #0 on device ${noNuma('a')}`,
  },
  {
    name: "a condition of the class' that fails, before the claim's",
    claims: [one(withSelector(`device.attributes['${driver}'].numa == 2`))],
    classes: [
      deviceClass('gpu', {
        selectors: [{ cel: { expression: `device.attributes['${driver}'].numa == 1` } }],
      }),
    ],
    want: `failed: class gpu: selector #0 on device ${noNuma('a')}`,
  },
  {
    name: 'a condition that is none',
    claims: [one(withSelector('device.'))],
    want: `failed: claim default/c: selector #0: CEL compile error: compilation failed: ERROR: <input>:1:8: Syntax error: no viable alternative at input '.'\n | device.\n | .......^`,
  },
  {
    name: 'a condition that fails for one that is not reached',
    slices: [slice([numa('a', 1), device('b')])],
    claims: [one(withSelector(`device.attributes['${driver}'].numa == 1`))],
    want: ['r=a'],
  },
  {
    name: 'a condition that fails for one that is reached',
    slices: [slice([numa('a', 1), device('b')])],
    claims: [one({ count: 2, ...withSelector(`device.attributes['${driver}'].numa == 1`) })],
    want: `failed: claim default/c: selector #0 on device ${noNuma('b')}`,
  },
  {
    name: 'a condition that fails for one that somebody has',
    slices: [slice([device('a'), numa('b', 1)])],
    claims: [one(withSelector(`device.attributes['${driver}'].numa == 1`))],
    before: [has(['a'])],
    want: ['r=b'],
  },
  {
    name: 'a condition that fails for one of all',
    slices: [slice([numa('a', 1), device('b')])],
    claims: [one({ allocationMode: 'All', ...withSelector(`device.attributes['${driver}'].numa == 1`) })],
    want: `failed: claim default/c: selector #0 on device ${noNuma('b')}`,
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
    name: 'shares of what has no capacity to divide',
    slices: [slice([multi('x')])],
    claims: [one(), claim('d', [request('s')])],
    want: ['r=x:0', 's=x:0'],
  },
  {
    name: 'all that are large enough',
    slices: [slice([wide('x', '2'), wide('y', '1'), multi('z')])],
    claims: [one({ allocationMode: 'All', count: undefined, ...asking('2') })],
    want: ['r=x:2'],
  },
  {
    name: 'all of which enough is left by those before',
    slices: [slice([wide('x', '1'), wide('y', '1')])],
    claims: [one({ allocationMode: 'All', count: undefined, ...asking('1') })],
    before: [has(['x', { shareID: 'i', consumedCapacity: { bandwidth: '1' } }])],
    want: ['r=y:1'],
  },
  {
    name: 'all, and not what the same claim has used up',
    slices: [slice([wide('x', '1'), wide('y', '1')])],
    claims: [
      claim('c', [
        request('r', asking('1')),
        request('s', { allocationMode: 'All', count: undefined, ...asking('1') }),
      ]),
    ],
    want: cannotAllocate,
  },
  {
    name: 'the whole of a device only within what may be asked for',
    slices: [slice([{ ...shared, allowMultipleAllocations: false }])],
    claims: [one(asking('10'))],
    want: cannotAllocate,
  },
  {
    name: 'alternatives with which a claim has no more than it may',
    slices: [slice(many(64))],
    claims: [claim('c', [counts('r', 32, 2), counts('s', 32, 1), request('t')])],
    want: ['r/2=d0 r/2=d1 s/1=d2 t=d3'],
  },
  {
    name: 'an alternative after one of more than a claim may have',
    claims: [claim('c', [counts('r', 500, 1)])],
    want: ['r/1=a'],
  },
  {
    name: 'nothing of a pool with a counter set twice',
    slices: [
      slice([a], { ...named('n1', 1, 3) }),
      ...['1', '2'].map((name) => ({
        ...sets,
        metadata: { name },
        spec: { ...sets.spec, ...named('n1', 1, 3) },
      })),
    ],
    claims: [one()],
    want: 'invalid resource pools were encountered',
  },
  {
    name: 'nothing of a pool with a counter that is not there, though it is of another node',
    slices: [
      slice([a], named('n1', 1, 2)),
      slice([part('b', '1Gi')], { nodeName: 'n2', ...named('n1', 1, 2) }),
    ],
    claims: [one()],
    want: 'invalid resource pools were encountered',
  },
  {
    name: 'nothing that counters do not reach for, as devices of another node have them',
    slices: [
      { ...sets, spec: { ...sets.spec, ...named('n1', 1, 3) } },
      slice([part('a', '30Gi'), part('b', '10Gi')], named('n1', 1, 3)),
      slice([part('c', '30Gi')], { nodeName: 'n2', ...named('n1', 1, 3) }),
    ],
    claims: [one()],
    before: [has(['c'])],
    want: ['r=b'],
  },
  {
    name: 'what is of another pool, where one is not as it should be',
    slices: [slice([a], named('n1', 1, 2)), slice([b, a], named('n1', 1, 2)), slice([c], named('other'))],
    claims: [one()],
    want: ['r=c'],
  },
  {
    name: 'different, of some requests only',
    slices: [slice([numa('a', 1), numa('b', 1), numa('c', 2)])],
    claims: [
      claim('c', [request('r'), request('s'), request('t')], {
        constraints: [{ distinctAttribute: `${driver}/numa`, requests: ['r', 's'] }],
      }),
    ],
    want: ['r=a s=c t=b'],
  },
  {
    name: 'alike where the way is named that is not taken',
    slices: [slice([numa('a', 0), numa('b', 1)])],
    claims: [
      claim('c', [request('r', withSelector(`device.attributes['${driver}'].numa == 0`)), ways2], {
        constraints: [{ matchAttribute: `${driver}/numa`, requests: ['r', 's/n1'] }],
      }),
    ],
    want: ['r=a s/any=b'],
  },
  {
    name: 'one where all is not to be had',
    before: [has(['a'])],
    claims: [
      claim('c', [
        {
          name: 'r',
          firstAvailable: [
            { name: 'all', deviceClassName: 'gpu', allocationMode: 'All' },
            { name: 'one', deviceClassName: 'gpu' },
          ],
        },
      ]),
    ],
    want: ['r/one=b'],
  },
  {
    name: 'an admin not the same twice',
    slices: [slice([a, b])],
    claims: [
      claim('c', [
        request('r', { adminAccess: true }),
        request('s', { adminAccess: true, allocationMode: 'All', count: undefined }),
      ]),
    ],
    want: cannotAllocate,
  },
  {
    name: 'an admin what another claim of the pod has',
    slices: [slice([a])],
    claims: [one(), claim('d', [request('s', { adminAccess: true })])],
    want: ['r=a', 's=a'],
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

it.each(rows)('gives $name', (row) => {
  const allocated = allocateOn(row);
  const text =
    allocated.kind !== 'allocated'
      ? `${allocated.kind === 'failed' ? 'failed: ' : ''}${allocated.reason}`
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
  const allocated = allocateOn({
    slices: [slice(devices)],
    claims: [claim('c', requests, { constraints })],
  });
  expect(allocated).toEqual({ kind: 'refused', reason: 'timed out trying to allocate devices' });
});
