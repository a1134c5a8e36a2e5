import { describe, expect, test } from 'vitest';
import type { Node } from '#api/generated/objects.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import type { LinkInfo, LinkNeighbours, RouteInfo } from '#native/netlink/netlink.ts';
import { macOfNode, renderNodeFabric, type NodeFabric } from './node-fabric.ts';
import { computePaths, endpointOf, isOnLink, kindsOf, type Path, type PathsInput } from './paths.ts';
import { planDevice, routeOf, tunnelMtu } from './tunnel.ts';
import { planNeighbours, planVxlanLink } from './vxlan.ts';

const macs = { b: macOfNode('b'), c: macOfNode('c') };
/** Of macs.b, by hand. */
const nearB = 'fe80::40cf:b5ff:fe98:2678';
const key = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const vxlan = { kind: 'vxlan', port: 8472, vni: 1 } as const;

function node(name: string, index: number, fabric?: NodeFabric | string): Node {
  const text = typeof fabric === 'object' ? renderNodeFabric(fabric) : fabric;
  return {
    metadata: { name, ...(text !== undefined && { annotations: { 'podwright/fabric': text } }) },
    spec: { podCIDRs: [`10.244.${index}.0/24`, `fd00:244:0:${index}::/64`] },
    status: {
      addresses: [
        { type: 'InternalIP', address: `192.0.2.${index}` },
        { type: 'InternalIP', address: `fd00::${index}` },
      ],
    },
  };
}

const compute = (nodes: readonly Node[], more: Partial<PathsInput> = {}) =>
  computePaths({
    nodes: [node('a', 1), ...nodes],
    ownName: 'a',
    outerFamily: 4,
    vxlan,
    isDirect: false,
    isOnLink: () => true,
    ...more,
  });

const words = (path: Path): string => {
  const { gateway = '', dev = '' } = routeOf(path);
  const remote = 'remote' in path ? ` at ${path.remote}` : '';
  return `${path.destination} ${path.kind} ${gateway} ${dev}`.replace(/ +/g, ' ').trim() + remote;
};

describe('computePaths()', () => {
  test.each<[string, readonly Node[], Partial<PathsInput>, readonly string[]]>([
    [
      'goes by plain routes to a node that says nothing',
      [node('b', 2)],
      {},
      ['10.244.2.0/24 direct 192.0.2.2', 'fd00:244:0:2::/64 direct fd00::2'],
    ],
    [
      'goes both families by one outer family',
      [node('b', 2, { ...vxlan, mac: macs.b })],
      {},
      [
        '10.244.2.0/24 vxlan 10.244.2.0 podwright-vx at 192.0.2.2',
        `fd00:244:0:2::/64 vxlan ${nearB} podwright-vx at 192.0.2.2`,
      ],
    ],
    [
      'each node as it says itself',
      [
        node('b', 2, { kind: 'udp', port: 1, vni: 1 }),
        node('c', 3, { kind: 'wireguard', port: 2, vni: 1, publicKey: key }),
      ],
      { outerFamily: 6 },
      [
        '10.244.2.0/24 udp podwright-udp at fd00::2',
        '10.244.3.0/24 wireguard podwright-wg at fd00::3',
        'fd00:244:0:2::/64 udp podwright-udp at fd00::2',
        'fd00:244:0:3::/64 wireguard podwright-wg at fd00::3',
      ],
    ],
    [
      'without a tunnel on one link where that was asked for, but never without encryption',
      [
        node('b', 2, { ...vxlan, mac: macs.b }),
        node('c', 3, { kind: 'wireguard', port: 2, vni: 1, publicKey: key }),
      ],
      { isDirect: true, isOnLink: (ip) => ip.startsWith('192.') },
      [
        '10.244.2.0/24 direct 192.0.2.2',
        '10.244.3.0/24 wireguard podwright-wg at 192.0.2.3',
        `fd00:244:0:2::/64 vxlan ${nearB} podwright-vx at 192.0.2.2`,
        'fd00:244:0:3::/64 wireguard podwright-wg at 192.0.2.3',
      ],
    ],
  ])('%s', (_name, nodes, more, want) => {
    const { paths, problems } = compute(nodes, more);
    expect(paths.map(words)).toEqual(want);
    expect(problems).toEqual([]);
  });

  test.each<[string, readonly Node[], RegExp]>([
    ['an annotation that cannot be read', [node('b', 2, 'x')], /annotation cannot be read/],
    ['a vxlan without hardware address', [node('b', 2, vxlan)], /does not say its hardware address/],
    [
      'wireguard without a key',
      [node('b', 2, { kind: 'wireguard', port: 1, vni: 1 })],
      /does not say its key/,
    ],
    [
      'another port',
      [node('b', 2, { ...vxlan, port: 4789, mac: macs.b })],
      /at port 4789, this node in 1 at 8472/,
    ],
    ['another network', [node('b', 2, { ...vxlan, vni: 2, mac: macs.b })], /network 2/],
    ['a range of two', [node('b', 2), node('c', 2)], /claims what b has: 10.244.2.0\/24/],
    [
      'a hardware address of two',
      [node('b', 2, { ...vxlan, mac: macs.b }), node('c', 3, { ...vxlan, mac: macs.b })],
      /claims what b has: 10.244.3.0\/24, /,
    ],
  ])('tells of %s', (_name, nodes, problem) => {
    const { paths, problems } = compute(nodes);
    expect(problems.map(({ message }) => message)).toContainEqual(expect.stringMatching(problem));
    // Whoever is the first by name keeps it, in whatever order they come.
    expect(compute(nodes.toReversed()).paths).toEqual(paths);
  });
});

describe('isOnLink()', () => {
  const route = (destination: string, gateway?: string): RouteInfo => ({
    ...{ destination, gateway, linkIndex: 2, protocol: 2, scope: 0 },
  });
  const routes = [
    route('default', '192.0.2.254'),
    route('192.0.2.0/24'),
    route('192.0.2.128/25', '192.0.2.9'),
    route('fd00::/64'),
  ];
  test.each([
    ['192.0.2.7', true],
    ['192.0.2.200', false],
    ['198.51.100.1', false],
    ['fd00::5', true],
    ['fd01::5', false],
    ['none', false],
  ])('%s: %s', (ip, want) => expect(isOnLink({ routes }, ip)).toBe(want));
});

test('a node has the devices by which it and others are reached; one listens where the first of the others does', () => {
  const others = [node('c', 3, { ...vxlan, port: 9 }), node('b', 2, { ...vxlan, port: 7 }), node('d', 4)];
  expect([...kindsOf('udp', others)].toSorted()).toEqual(['udp', 'vxlan']);
  expect([...kindsOf('host-gw', [node('d', 4)])]).toEqual([]);
  const own = { kind: 'udp', port: 8285, vni: 1 } as const;
  expect(endpointOf('vxlan', own, others)).toMatchObject({ port: 7 });
  expect(endpointOf('udp', own, others)).toBe(own);
});

test.each([
  ['vxlan', 4, 1450],
  ['vxlan', 6, 1430],
  ['udp', 4, 1472],
  ['udp', 6, 1452],
  ['wireguard', 4, 1420],
  ['wireguard', 6, 1420],
] as const)('tunnelMtu() of %s over IPv%d is %d of 1500', (kind, family, want) =>
  expect(tunnelMtu(kind, family, 1500)).toBe(want),
);

const link: LinkInfo = {
  ...{ index: 5, name: 'podwright-vx', kind: 'vxlan', mac: macs.b, mtu: 1450, isUp: true, master: undefined },
  peerIndex: undefined,
  vxlan: { vni: 1, local: '192.0.2.1', port: 8472, isLearning: false },
};
const wanted = {
  ...{ local: '192.0.2.1', port: 8472, vni: 1, mtu: 1450, paths: [], nodes: [] },
  addresses: ['10.244.1.0', 'fd00:244:0:1::'],
  clusterCidrs: ['10.244.0.0/16', 'fd00:244::/56'],
};

describe('planVxlanLink()', () => {
  const made =
    'add link podwright-vx mtu 1450 mac MAC type vxlan id 1 local 192.0.2.1 dstport 8472 nolearning noudpcsum';
  const plan = (links: readonly LinkInfo[]): readonly string[] =>
    planVxlanLink(wanted, 'MAC', { links }).map(renderNetOp);
  test('makes it', () => expect(plan([])).toEqual([made]));
  test('leaves it', () => expect(plan([link])).toEqual([]));
  test.each([{ vni: 2 }, { port: 4789 }, { local: '192.0.2.9' }, { isLearning: true }])(
    'makes it anew that has %o',
    (change) => {
      const other = { ...link, vxlan: { ...wanted, isLearning: false, ...change } };
      expect(plan([other])).toEqual(['remove link podwright-vx', made]);
    },
  );
});

describe('planDevice()', () => {
  const addresses = [...wanted.addresses.map((ip) => `${ip}/${ip.includes(':') ? 128 : 32}`)];
  const plan = (change: Partial<LinkInfo>, present: readonly string[]): readonly string[] =>
    planDevice(
      { ...link, ...change },
      { ...wanted, mac: macs.b },
      { addresses: present.map((address) => ({ linkIndex: 5, address })) },
    ).map(renderNetOp);

  test.each<[string, Partial<LinkInfo>, readonly string[], readonly string[]]>([
    ['leaves what is right', {}, addresses, []],
    ['sets the MTU', { mtu: 1500 }, addresses, [`set link podwright-vx mtu 1450 mac ${macs.b}`]],
    [
      'sets the hardware address',
      { mac: macs.c },
      addresses,
      [`set link podwright-vx mtu 1450 mac ${macs.b}`],
    ],
    [
      'takes the address of another range away, and nobody else’s',
      {},
      [...addresses, '10.244.9.0/32', '192.168.1.5/24', 'fe80::1/64', '10.9.9.9/32'],
      ['remove address 10.244.9.0/32 dev podwright-vx'],
    ],
    ['adds what is missing', {}, addresses.slice(1), ['ensure address 10.244.1.0/32 dev podwright-vx']],
  ])('%s', (_name, change, present, want) => expect(plan(change, present)).toEqual(want));

  test('makes it quiet before it is up', () =>
    expect(plan({ isUp: false }, addresses)).toEqual([
      'set sysctl net/ipv4/conf/podwright-vx/rp_filter = 2',
      'set sysctl net/ipv6/conf/podwright-vx/addr_gen_mode = 1',
      'set sysctl net/ipv6/conf/podwright-vx/accept_ra = 0',
      'set sysctl net/ipv6/conf/podwright-vx/accept_dad = 0',
      'set link podwright-vx up',
    ]));
});

describe('planNeighbours()', () => {
  const { paths } = compute([node('b', 2, { ...vxlan, mac: macs.b })]);
  const whole: LinkNeighbours = {
    neighbours: [
      { address: '10.244.2.0', mac: macs.b },
      { address: nearB, mac: macs.b },
    ],
    forwarding: [{ mac: macs.b, remote: '192.0.2.2' }],
  };
  const dev = 'dev podwright-vx';
  test.each<[string, Partial<LinkNeighbours>, readonly string[]]>([
    ['leaves what is right', {}, []],
    [
      'writes a frame’s way before who asks for it',
      { neighbours: [], forwarding: [] },
      [
        `ensure forwarding ${macs.b} ${dev} dst 192.0.2.2`,
        `ensure neighbour 10.244.2.0 lladdr ${macs.b} ${dev} permanent`,
        `ensure neighbour ${nearB} lladdr ${macs.b} ${dev} permanent`,
      ],
    ],
    [
      'sees a stale twin of one hardware address, and leaves the other (calico#9450)',
      { forwarding: [{ mac: macs.b, remote: '192.0.2.9' }, ...whole.forwarding] },
      [`remove forwarding ${macs.b} ${dev} dst 192.0.2.9`],
    ],
    [
      'takes away what a node that is gone has left (calico#7281)',
      {
        forwarding: [...whole.forwarding, { mac: macs.c, remote: '192.0.2.3' }],
        neighbours: [...whole.neighbours, { address: '10.244.3.0', mac: macs.c }],
      },
      [`remove forwarding ${macs.c} ${dev} dst 192.0.2.3`, `remove neighbour 10.244.3.0 ${dev}`],
    ],
    [
      'corrects a hardware address that was another (flannel#1795)',
      { neighbours: [{ address: '10.244.2.0', mac: macs.c }, ...whole.neighbours.slice(1)] },
      [`ensure neighbour 10.244.2.0 lladdr ${macs.b} ${dev} permanent`],
    ],
  ])('%s', (_name, actual, want) =>
    expect(planNeighbours(paths, { ...whole, ...actual }).map(renderNetOp)).toEqual(want),
  );
});
