import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { createInformerCache } from '#client/informer.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns, type RouteInfo } from '#native/netlink/netlink.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { renderTable } from '#native/nft/render.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import {
  computeRoutes,
  concernsFabric,
  masqueradeTableOf,
  planForwarding,
  planRoutes,
  planServiceRoutes,
  renderMasquerade,
} from './fabric-plan.ts';
import { startFabric } from './fabric.ts';

function node(name: string, podCIDR: string | undefined, ip: string | undefined, version = '1'): Node {
  return {
    metadata: { name, uid: name, resourceVersion: version },
    spec: { podCIDR },
    status: {
      addresses:
        ip === undefined
          ? []
          : [
              { type: 'Hostname', address: name },
              { type: 'InternalIP', address: ip },
            ],
    },
  };
}

const own = node('node-1', '10.244.0.0/24', '192.0.2.1');
const other = node('node-2', '10.244.1.0/24', '192.0.2.2');

function route(destination: string, gateway: string, protocol = 112): RouteInfo {
  return { destination, gateway, protocol, linkIndex: 2, scope: 0 };
}

describe('computeRoutes()', () => {
  test.each([
    ['leads to the other nodes', [own, other], [{ destination: '10.244.1.0/24', gateway: '192.0.2.2' }]],
    ['waits for a node to have pods', [own, node('node-2', undefined, '192.0.2.2')], []],
    ['waits for a node to have an address', [own, node('node-2', '10.244.1.0/24', undefined)], []],
    ['leaves out what is no address', [own, node('node-2', '10.244.1.0/24', 'evil.example')], []],
    [
      'names a network as the kernel does',
      [own, node('node-2', '10.244.1.9/24', '192.0.2.2')],
      [{ destination: '10.244.1.0/24', gateway: '192.0.2.2' }],
    ],
    [
      'the same of IPv6',
      [own, node('node-2', 'FD00:0:0:1::9/64', 'fd00:0::2')],
      [{ destination: 'fd00:0:0:1::/64', gateway: 'fd00::2' }],
    ],
    ['leaves out what is no CIDR', [own, node('node-2', '10.244.1.0', '192.0.2.2')], []],
  ])('%s', (_name, nodes, want) => expect(computeRoutes(nodes, 'node-1')).toEqual(want));
});

describe('planRoutes()', () => {
  const wanted = computeRoutes([own, other], 'node-1');
  const ranges = ['10.244.0.0/24', '10.244.1.0/24', 'fd00:9::/64'];
  const refusal = (destination: string): RouteInfo => ({
    ...{
      destination,
      gateway: undefined,
      linkIndex: undefined,
      protocol: 112,
      scope: 0,
      isUnreachable: true,
    },
  });
  test.each<[string, readonly RouteInfo[], readonly string[]]>([
    ['adds what is missing', [], ['ensure route 10.244.1.0/24 via 192.0.2.2 proto 112']],
    ['does nothing twice', [route('10.244.1.0/24', '192.0.2.2')], []],
    [
      'moves a CIDR to its new node, in place of the old route',
      [route('10.244.1.0/24', '192.0.2.9')],
      ['ensure route 10.244.1.0/24 via 192.0.2.2 proto 112'],
    ],
    [
      'removes what a replaced route has left behind',
      [route('10.244.1.0/24', '192.0.2.2'), route('10.244.1.0/24', '192.0.2.9')],
      ['remove route 10.244.1.0/24 via 192.0.2.9'],
    ],
    [
      'refuses what is for a node that is gone, in place of the route',
      [route('10.244.1.0/24', '192.0.2.2'), route('10.244.7.0/24', '192.0.2.7')],
      ['ensure route unreachable 10.244.7.0/24 proto 112', 'remove route 10.244.7.0/24 via 192.0.2.7'],
    ],
    ['refuses it once', [route('10.244.1.0/24', '192.0.2.2'), refusal('10.244.7.0/24')], []],
    [
      'leads where a node came to what was refused',
      [refusal('10.244.1.0/24')],
      ['ensure route 10.244.1.0/24 via 192.0.2.2 proto 112'],
    ],
    [
      'refuses nothing that is a part of what some node has, which would be the narrower route',
      [route('10.244.1.0/24', '192.0.2.2'), refusal('10.244.1.64/26'), route('10.244.0.0/20', '192.0.2.7')],
      ['remove route 10.244.0.0/20 via 192.0.2.7', 'remove route 10.244.1.64/26'],
    ],
    [
      'refuses nothing that a node has which cannot be led to',
      [route('10.244.1.0/24', '192.0.2.2'), refusal('fd00:9::/64')],
      ['remove route fd00:9::/64'],
    ],
    [
      "leaves others' routes alone",
      [route('10.244.1.0/24', '192.0.2.2'), route('10.7.0.0/16', '192.0.2.7', 4)],
      [],
    ],
  ])('%s', (_name, actual, want) =>
    expect(planRoutes(wanted, { routes: actual }, ranges).map(renderNetOp)).toEqual(want),
  );
});

describe('renderMasquerade()', () => {
  const options = {
    family: 4,
    podCidr: '10.244.0.0/24',
    clusterCidr: '10.244.0.0/16',
    serviceCidr: '10.96.0.0/16',
    linkCidr: '192.0.2.0/24',
  } as const;
  test.each([
    [
      'without egress only towards the link',
      false,
      'ip saddr 10.244.0.0/24 ip daddr != @keep-source ip daddr 192.0.2.0/24 masquerade fully-random',
    ],
    [
      'with egress everywhere',
      true,
      'ip saddr 10.244.0.0/24 ip daddr != @keep-source masquerade fully-random',
    ],
  ])('%s', (_name, hasEgress, want) => {
    const text = renderTable(renderMasquerade({ ...options, hasEgress }, [own, other]));
    expect(text).toContain(want);
    for (const kept of ['10.244.0.0/16', '10.96.0.0/16', '192.0.2.1', '192.0.2.2'])
      expect(text).toContain(kept);
  });
});

test('renderMasquerade() says the same of IPv6, of which nodes have other addresses', () => {
  const dual = {
    ...other,
    status: { addresses: [...(other.status?.addresses ?? []), { type: 'InternalIP', address: 'fd00::2' }] },
  };
  const cidrs = { podCidr: 'fd00:1::/64', clusterCidr: 'fd00:1::/56', serviceCidr: 'fd00:2::/112' };
  const table = renderMasquerade({ family: 6, ...cidrs, linkCidr: undefined, hasEgress: true }, [own, dual]);
  expect(renderTable(table)).toMatchInlineSnapshot(`
    "table ip6 podwright-fabric {
    	set keep-source {
    		type ipv6_addr
    		flags interval
    		elements = { fd00:1::/56,
    			     fd00:2::/112,
    			     fd00::2,
    			     fe80::/10,
    			     ff00::/8 }
    	}

    	chain postrouting {
    		type nat hook postrouting priority 100; policy accept;
    		ip6 saddr fd00:1::/64 ip6 daddr != @keep-source masquerade fully-random
    	}
    }"
  `);
});

describe('planServiceRoutes()', () => {
  const links = [
    {
      index: 2,
      name: 'eth0',
      kind: undefined,
      mac: undefined,
      mtu: 1500,
      isUp: true,
      master: undefined,
      peerIndex: undefined,
    },
  ];
  const networks = [
    { family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' },
    { family: 6, clusterCidr: 'fd00:1::/56', serviceCidr: 'fd00:2::/112' },
  ] as const;
  const nodeIps = ['192.0.2.1', 'fd00::1'];
  test.each([
    [
      'leads through lo, and of IPv6 through the link of the node',
      'fd00::1/64',
      ['lo 192.0.2.1', 'eth0 fd00::1'],
    ],
    ['waits for the link to have the address', 'fd00::9/64', ['lo 192.0.2.1']],
  ])('%s', (_name, address, want) => {
    const routes = planServiceRoutes(
      { networks, nodeIps },
      { links, addresses: [{ linkIndex: 2, address }] },
    );
    expect(routes.map(({ dev, source }) => `${dev} ${source}`)).toEqual(want);
  });

  test('leads to addresses of load balancers, too, where the cluster gives them', () => {
    const pools = ['203.0.113.0/24', 'fd00:3::/112'];
    const given = networks.map((network, i) => ({ ...network, loadBalancerCidr: pools[i] ?? '' }));
    const routes = planServiceRoutes(
      { networks: given, nodeIps },
      { links, addresses: [{ linkIndex: 2, address: 'fd00::1/64' }] },
    );
    expect(routes.map(({ destination, dev }) => `${destination} ${dev}`)).toEqual([
      ...['10.96.0.0/16 lo', '203.0.113.0/24 lo'],
      ...['fd00:2::/112 eth0', 'fd00:3::/112 eth0'],
    ]);
  });

  test('comes after forwarding, before which a host is told to go on listening to routers', () => {
    const routes = [{ ...route('default', 'fe80::1', 9), linkIndex: 2 }];
    expect(planForwarding(networks, { links, routes }).map(renderNetOp)).toEqual([
      'set sysctl net.ipv4.ip_forward = 1',
      'set sysctl net/ipv6/conf/eth0/accept_ra = 2',
      'set sysctl net.ipv6.conf.all.forwarding = 1',
      'set link lo up',
    ]);
  });
});

test.each([
  ['a heartbeat', { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: 't' }] }, false],
  ['images', { images: [{ names: ['i'] }] }, false],
  ['an address', { addresses: [{ type: 'InternalIP', address: '192.0.2.9' }] }, true],
])('concernsFabric() judges %s', (_name, status, want) => {
  expect(concernsFabric(other, { ...other, status: { ...other.status, ...status } })).toBe(want);
});

test('startFabric() reads no routes and walks no nodes for a status, and once for a new range', async () => {
  const nodes = createInformerCache<Node>((error) => {
    throw error;
  });
  const names = Array.from({ length: 100 }, (_, index) => String(index + 1));
  const made = (name: string): Node => node(`node-${name}`, `10.244.${name}.0/24`, `192.0.2.${name}`);
  nodes.replace(names.map(made), '1');
  let work = 0;
  const counted = <T extends object>(port: T, ...calls: readonly (keyof T)[]): T =>
    new Proxy(port, {
      get: (target, name) => {
        if (calls.some((call) => call === name)) work += 1;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const netlink = counted(createFakeNetlink(), 'state', 'apply');
  await using _fabric = await startFabric({
    nodeName: 'node-1',
    nodes: counted(nodes, 'list'),
    netlink,
    nft: createFakeNft(),
    clock: createFakeClock(),
    log: silentLogger,
    networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
    nodeIps: ['192.0.2.10'],
    hasEgress: false,
  });
  const settle = (): Promise<void> => untilQuiet();
  await settle();
  work = 0;
  for (const [index, name] of names.entries()) {
    const { metadata, ...rest } = made(name);
    const conditions = [{ type: 'Ready', status: 'True' }];
    const object: Node = {
      ...rest,
      metadata: { ...metadata, resourceVersion: String(index + 2) },
      status: { ...rest.status, conditions },
    };
    nodes.apply({ type: 'MODIFIED', object });
    await settle();
  }
  expect(work).toBe(0);
  nodes.apply({ type: 'MODIFIED', object: node('node-7', '10.244.200.0/24', '192.0.2.7', '900') });
  await settle();
  expect((await netlink.state(ownNetns)).routes.map(({ destination }) => destination)).toContain(
    '10.244.200.0/24',
  );
  expect(work).toBeGreaterThan(0);
});

describe.skipIf(process.getuid?.() !== 0)('startFabric() on the kernel (needs root)', () => {
  test('follows nodes and brings routes back that somebody removed', async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    const netlink = createSyncNetlink();
    await netlink.apply(ownNetns, [
      { op: 'ensureLink', name: 'uplink', link: { kind: 'bridge' } },
      { op: 'setLink', name: 'uplink', up: true },
      { op: 'ensureAddress', name: 'uplink', address: '192.0.2.1/24' },
    ]);
    const nodes = createInformerCache<Node>((error) => {
      throw error;
    });
    nodes.replace([own, other, node('far', '10.244.9.0/24', '198.51.100.1')], '1');
    const fabric = await startFabric({
      nodeName: 'node-1',
      nodes,
      netlink,
      nft: createSyncNft(),
      clock: systemClock,
      log: silentLogger,
      networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
      nodeIps: ['192.0.2.1'],
      linkCidrs: ['192.0.2.0/24'],
      hasEgress: false,
    });
    const routes = async (): Promise<readonly string[]> =>
      (await netlink.state(ownNetns)).routes
        .filter((item) => item.protocol === 112)
        .map((item) => `${item.destination} ${item.gateway ?? ''}`.trim())
        .toSorted();
    const until = async (want: readonly string[]): Promise<void> => {
      const deadline = AbortSignal.timeout(150_000);
      while (JSON.stringify(await routes()) !== JSON.stringify(want))
        await delay(10, undefined, { signal: deadline });
    };
    // The node that is not on the link keeps nobody else from having a route.
    await until(['10.244.1.0/24 192.0.2.2', '10.96.0.0/12']);
    await netlink.apply(ownNetns, [{ op: 'removeRoute', destination: '10.244.1.0/24' }]);
    await until(['10.244.1.0/24 192.0.2.2', '10.96.0.0/12']);
    nodes.apply({ type: 'MODIFIED', object: node('node-2', '10.244.1.0/24', '192.0.2.22', '2') });
    await until(['10.244.1.0/24 192.0.2.22', '10.96.0.0/12']);
    nodes.apply({ type: 'DELETED', object: node('node-2', '10.244.1.0/24', '192.0.2.22', '3') });
    // Refused at once, rather than sent to whoever is behind the default route.
    await until(['10.244.1.0/24', '10.96.0.0/12']);
    nodes.apply({ type: 'ADDED', object: node('node-3', '10.244.1.0/24', '192.0.2.3', '4') });
    await until(['10.244.1.0/24 192.0.2.3', '10.96.0.0/12']);
    nodes.apply({ type: 'DELETED', object: node('node-3', '10.244.1.0/24', '192.0.2.3', '5') });
    await until(['10.244.1.0/24', '10.96.0.0/12']);
    nodes.apply({ type: 'ADDED', object: node('node-4', '10.244.1.0/25', '192.0.2.4', '6') });
    await until(['10.244.1.0/25 192.0.2.4', '10.96.0.0/12']);
    await fabric[Symbol.asyncDispose]();
  });

  test('masquerades, and does again when somebody flushed or removed its table', async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    const nodes = createInformerCache<Node>((error) => {
      throw error;
    });
    nodes.replace([own, other], '1');
    const nft = createSyncNft();
    await using _fabric = await startFabric({
      nodeName: 'node-1',
      nodes,
      netlink: createSyncNetlink(),
      nft,
      clock: systemClock,
      log: silentLogger,
      networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
      nodeIps: ['127.0.0.1'],
      hasEgress: true,
    });

    const rules = async (): Promise<number> => {
      const isThere = await nft.hasTable(ownNetns, masqueradeTableOf(4));
      return isThere ? nft.ruleCount(ownNetns, masqueradeTableOf(4)) : 0;
    };
    const isBack = (): Promise<void> =>
      vi.waitFor(async () => expect(await rules()).toBe(1), { timeout: 60_000 });
    await isBack();
    await nft.commit(ownNetns, [{ op: 'flushChain', table: masqueradeTableOf(4), name: 'postrouting' }]);
    expect(await rules()).toBe(0);
    await isBack();
    await nft.commit(ownNetns, [{ op: 'removeTable', table: masqueradeTableOf(4) }]);
    expect(await rules()).toBe(0);
    await isBack();
  });
});

test('renderMasquerade() has nothing of a host go into a tunnel as it is, and keeps vxlan from being translated itself', () => {
  const cidrs = { podCidr: '10.244.0.0/24', clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' };
  const options = { family: 4, ...cidrs, linkCidr: '192.0.2.0/24', hasEgress: false } as const;
  const tunnelNodes = new Set(['node-2']);
  const table = renderMasquerade({ ...options, tunnelNodes, vxlanPort: 8472 }, [own, other]);
  expect(renderTable(table)).toMatchInlineSnapshot(`
    "table ip podwright-fabric {
    	set keep-source {
    		type ipv4_addr
    		flags interval
    		elements = { 10.244.0.0/16,
    			     10.96.0.0/16,
    			     192.0.2.1,
    			     224.0.0.0/4 }
    	}

    	set tunnel-nodes {
    		type ipv4_addr
    		elements = { 192.0.2.2 }
    	}

    	chain postrouting {
    		type nat hook postrouting priority 100; policy accept;
    		ip saddr 10.244.0.0/24 ip daddr != @keep-source ip daddr 192.0.2.0/24 masquerade fully-random
    		ip saddr 10.244.0.0/24 ip daddr @tunnel-nodes masquerade fully-random
    		oifname "podwright-*" ip saddr != 10.244.0.0/16 masquerade fully-random
    	}

    	chain raw-prerouting {
    		type filter hook prerouting priority -300; policy accept;
    		meta l4proto udp th dport 8472 notrack
    	}

    	chain raw-output {
    		type filter hook output priority -300; policy accept;
    		meta l4proto udp th dport 8472 notrack
    	}
    }"
  `);
});
