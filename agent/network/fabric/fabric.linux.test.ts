/** The fabrics between hosts of the test's own, on the kernel: on one link and across a router, in both families. */
import { describe, expect, test, vi } from 'vitest';
import { silentLogger } from '#base/log.ts';
import type { Netlink, NetOp } from '#native/netlink/netlink.ts';
import type { NftTable } from '#native/nft/nft.ts';
import { openRelay } from '#native/tun/relay.linux.ts';
import { hostNames, hosts, startTestFabric, type HostName, type TestFabric } from './hosts.fixture.ts';
import { macOfNode } from './node-fabric.ts';
import { neighbourOf, tunnelDevices } from './tunnel.ts';
import { createUdp } from './udp.ts';

const families = [4, 6] as const;

const until = (claim: () => Promise<void>): Promise<void> =>
  vi.waitFor(claim, { timeout: 90_000, interval: 20 });

/** Every pod has an echo from every other, in both families. */
async function expectAll(fabric: TestFabric, packetBytes?: number, pairs = allPairs): Promise<void> {
  await until(async () => {
    const failed: string[] = [];
    for (const [from, to] of pairs)
      for (const family of families)
        if (!(await fabric.echoes(from, to, family, packetBytes))) failed.push(`${from}→${to} IPv${family}`);
    expect(failed).toEqual([]);
  });
}

const allPairs = hostNames.flatMap((from) =>
  hostNames.flatMap((to): readonly (readonly [HostName, HostName])[] => (from === to ? [] : [[from, to]])),
);
const fromA = allPairs.filter(([from, to]) => from === 'a' && to === 'c');
const onOneLink = allPairs.filter(([from, to]) => from !== 'c' && to !== 'c');

const makeUdp = (netlink: Netlink, netns: string) => [
  createUdp({ netlink, netns, openRelay, log: silentLogger }),
];

/** Of c, on the vxlan device. */
const nearC = neighbourOf({
  kind: 'vxlan',
  node: 'c',
  destination: 'fd00:244:0:3::/64',
  remote: '',
  mac: macOfNode('c'),
});

/** What somebody takes away, or bends. */
const device = tunnelDevices.vxlan;
const damages: readonly (readonly [what: string, ops: readonly NetOp[]])[] = [
  ['the device', [{ op: 'removeLink', name: device }]],
  ['the device is set down', [{ op: 'setLink', name: device, up: false }]],
  ['another MTU', [{ op: 'setLink', name: device, mtu: 1280 }]],
  ['another hardware address', [{ op: 'setLink', name: device, mac: '02:00:00:00:00:77' }]],
  ['its address', [{ op: 'removeAddress', name: device, address: '10.244.1.0/32' }]],
  [
    'a neighbour',
    [
      { op: 'removeNeighbour', name: device, address: '10.244.3.0' },
      { op: 'removeNeighbour', name: device, address: nearC },
    ],
  ],
  [
    'where frames go',
    [
      {
        op: 'removeForwarding',
        name: device,
        mac: macOfNode('c'),
        remote: hosts.c.ips[4],
      },
    ],
  ],
  [
    'where frames go is another place',
    [{ op: 'ensureForwarding', name: device, mac: macOfNode('c'), remote: '192.0.2.99' }],
  ],
  [
    'routes',
    [
      { op: 'removeRoute', destination: '10.244.3.0/24' },
      { op: 'removeRoute', destination: 'fd00:244:0:3::/64' },
    ],
  ],
];

describe.skipIf(process.getuid?.() !== 0)('fabrics on the kernel (needs root)', { timeout: 240_000 }, () => {
  test.each([
    { kind: 'vxlan', mtu: 1450 },
    { kind: 'udp', mtu: 1472 },
  ] as const)(
    '$kind: taken up host by host, cut off and back, through a reboot, and given up again',
    async ({ kind, mtu }) => {
      await using fabric = await startTestFabric(makeUdp);

      await expectAll(fabric, 1500, onOneLink);
      expect(await fabric.echoes('a', 'c', 4)).toBe(false); // Plain routes end at the router.
      for (const host of hostNames) {
        fabric.choose(kind, [host]);
        // In between each way is that which its end asks for.
        await expectAll(fabric, mtu, onOneLink);
      }
      await expectAll(fabric, mtu);
      for (const family of families) expect(await fabric.echoes('a', 'c', family, mtu + 1)).toBe(false);
      expect(fabric.looked('a')).toMatchObject({ podMtu: mtu, problems: [] });

      // One that hears nothing goes on as it knows, and so do the others with it; what changed it learns in the end.
      fabric.hold('b', true);
      fabric.choose(`${kind},direct-routing=true`, ['a', 'c']);
      await expectAll(fabric, mtu);
      expect(await gatewaysOf(fabric, 'a')).toContain(hosts.b.ips[4]);
      fabric.choose('host-gw', ['a']);
      await expectAll(fabric, mtu, onOneLink);
      fabric.hold('b', false);
      fabric.choose(kind);
      await expectAll(fabric, mtu);

      await fabric.netlink.apply(fabric.netns('a'), [{ op: 'removeLink', name: tunnelDevices[kind] }]);
      await expectAll(fabric, mtu, fromA);

      await fabric.reboot('c');
      await expectAll(fabric, mtu);

      fabric.choose('host-gw');
      await expectAll(fabric, 1500, onOneLink);
      await until(async () =>
        expect(await gatewaysOf(fabric, 'a')).toEqual([hosts.b.ips[4], hosts.b.ips[6]]),
      );
    },
  );

  test('vxlan comes back when somebody takes or bends a part of it', async () => {
    await using fabric = await startTestFabric();

    fabric.choose('vxlan');
    await expectAll(fabric, 1450, fromA);
    const netns = fabric.netns('a');
    const sound = async () => {
      const { links } = await fabric.netlink.state(netns);
      const { neighbours, forwarding } = await fabric.netlink.neighbours(netns, device);
      return {
        links: links.filter(({ name }) => name === device).map(({ isUp, mtu, mac }) => ({ isUp, mtu, mac })),
        neighbours: neighbours.map(({ address, mac }) => `${address} ${mac}`).toSorted(),
        forwarding: forwarding.map(({ mac, remote }) => `${mac} ${remote}`).toSorted(),
      };
    };
    const before = await sound();
    for (const [what, ops] of damages) {
      await fabric.netlink.apply(netns, ops);
      await until(async () => expect({ what, ...(await sound()) }).toEqual({ what, ...before }));
      await expectAll(fabric, 1450, fromA);
    }
  });

  test('its test says what is broken: the size, a closed port, a host that is not there', async () => {
    await using fabric = await startTestFabric();

    fabric.choose('vxlan');
    await expectAll(fabric, 1450, allPairs);
    expect(await fabric.test('a')).toEqual([]);
    const wire = fabric.netns('wire');
    // On the way a link that drops without a word what is larger.
    await fabric.netlink.apply(wire, [{ op: 'setLink', name: 'c', mtu: 1400 }]);
    const tooLarge = await fabric.test('a');
    expect(tooLarge.map(({ node, fault }) => `${node} ${fault}`)).toEqual(['c MtuExceeded', 'c MtuExceeded']);
    // A veth takes four bytes more than its MTU, for a VLAN's tag.
    expect(tooLarge[0]?.message).toContain('of 1450 bytes are lost, of 1354 they pass');
    await fabric.netlink.apply(wire, [{ op: 'setLink', name: 'c', mtu: 1500 }]);
    expect(await fabric.test('a')).toEqual([]);

    await fabric.nft.commit(fabric.netns('b'), [{ op: 'replaceTable', table: closedPort(8472) }]);
    const closed = await fabric.test('a');
    expect(closed.map(({ node, fault }) => `${node} ${fault}`)).toEqual(['b PathBlocked', 'b PathBlocked']);
    expect(closed[0]?.message).toContain('UDP port 8472');
    await fabric.nft.commit(fabric.netns('b'), [{ op: 'removeTable', table: closedPort(8472) }]);
    expect(await fabric.test('a')).toEqual([]);

    await fabric.netlink.apply(wire, [{ op: 'setLink', name: 'c', up: false }]);
    const gone = await fabric.test('a');
    expect(gone.map(({ node, fault }) => `${node} ${fault}`)).toEqual([
      'c NodeUnreachable',
      'c NodeUnreachable',
    ]);
    await fabric.netlink.apply(wire, [{ op: 'setLink', name: 'c', up: true }]);
    await until(async () => expect(await fabric.test('a')).toEqual([]));

    // Plain routes to a node behind a router, which knows no pods.
    fabric.choose('host-gw', ['c']);
    await until(async () => expect(await gatewaysOf(fabric, 'a')).not.toContain('10.244.3.0'));
    expect((await fabric.test('a')).map(({ node, fault }) => `${node} ${fault}`)).toEqual([
      'c PathBlocked',
      'c PathBlocked',
    ]);
  });
});

/** A firewall that takes no datagrams for a port. */
const closedPort = (port: number): NftTable => ({
  family: 'inet',
  name: 'firewall',
  sets: [],
  elements: {},
  chains: [
    {
      name: 'input',
      hook: { type: 'filter', hook: 'input', priority: 0 },
      rules: [
        {
          exprs: [
            { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: 'udp' },
            { expr: 'match', left: { load: 'th dport' }, op: '==', right: port },
            { expr: 'verdict', verdict: { kind: 'drop' } },
          ],
        },
      ],
    },
  ],
});

async function gatewaysOf(fabric: TestFabric, host: HostName): Promise<readonly string[]> {
  const { routes } = await fabric.netlink.state(fabric.netns(host));
  return routes.filter(({ protocol }) => protocol === 112).flatMap(({ gateway }) => gateway ?? []);
}
