/** Networks of Services that are added and removed while agents run: routes, masquerade exceptions, and the proxy's rules follow. */
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import type { EndpointSlice, Node, Service, ServiceCIDR } from '#api/generated/objects.ts';
import { createAppliedRules } from '#agent/proxy/retraction/applied-rules.ts';
import { startProxy } from '#agent/proxy/proxy.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import { createInformerCache } from '#client/informer.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderTable } from '#native/nft/render.ts';
import { createFakeXtables } from '#native/xtables/xtables.fake.ts';
import { startFabric } from './fabric/fabric.ts';
import { addNetworks, followServiceNetworks } from './service-networks.ts';

const networks = [
  { family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' },
  { family: 6, clusterCidr: 'fd00:1::/56', serviceCidr: 'fd00:2::/112' },
] as const;
const nodeIps = ['192.0.2.10', 'fd00:9::1'];

const object = (name: string, ...cidrs: readonly string[]): ServiceCIDR => ({
  metadata: { name, uid: name, resourceVersion: '1' },
  spec: { cidrs },
});

describe('addNetworks()', () => {
  const added = (...cidrs: readonly string[]): unknown =>
    addNetworks({ networks, nodeIps }, [object('a', ...cidrs)]).networks.map(
      ({ addedServiceCidrs }) => addedServiceCidrs,
    );
  test.each([
    ['the own ones', ['10.96.0.0/16', 'fd00:2::/112'], [undefined, undefined]],
    ['a part of the own one', ['10.96.7.0/24'], [undefined, undefined]],
    ['one of each family', ['10.97.0.0/16', 'fd00:3::/112'], [['10.97.0.0/16'], ['fd00:3::/112']]],
    ['as the kernel names it, once', ['10.97.1.1/16', '10.97.0.0/16'], [['10.97.0.0/16'], undefined]],
    ['a wider one', ['10.96.0.0/12'], [['10.96.0.0/12'], undefined]],
    ["not what has pods' addresses", ['10.244.9.0/24', '10.0.0.0/8'], [undefined, undefined]],
    ["not what has a node's address", ['192.0.2.0/24', 'fd00:9::/64'], [undefined, undefined]],
    ['not what is none', ['x', '10.97.0.0/33'], [undefined, undefined]],
  ])('%s', (_name, cidrs, want) => expect(added(...cidrs)).toEqual(want));

  test('at most 64 of a family, and says why the others are not', () => {
    const many = Array.from({ length: 70 }, (_, i) => object(`s${i}`, `172.16.${i}.0/24`));
    const found = addNetworks({ networks, nodeIps }, many);
    expect(found.networks[0]?.addedServiceCidrs).toHaveLength(64);
    expect(found.refused).toHaveLength(6);
    expect(found.refused[0]?.why).toContain('there are 64');
  });
});

test.each<ProxyMode>(['nftables', 'iptables', 'userspace'])(
  'routes, exceptions and rules of mode %s follow objects that come and go',
  async (mode) => {
    const fail = (error: unknown): void => {
      throw error;
    };
    const [objects, nodes] = [createInformerCache<ServiceCIDR>(fail), createInformerCache<Node>(fail)];
    const [services, endpointSlices] = [
      createInformerCache<Service>(fail),
      createInformerCache<EndpointSlice>(fail),
    ];
    objects.replace([object('kubernetes', '10.96.0.0/16')], '1');
    services.replace([], '1');
    endpointSlices.replace([], '1');
    const status = { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] };
    nodes.replace(
      [{ metadata: { name: 'n1', resourceVersion: '1' }, spec: { podCIDR: '10.244.0.0/24' }, status }],
      '1',
    );
    const [netlink, nft, xtables, clock] = [
      createFakeNetlink(),
      createFakeNft(),
      createFakeXtables(),
      createFakeClock(),
    ];
    const own = { networks: networks.slice(0, 1), nodeIps: nodeIps.slice(0, 1), log: silentLogger };
    using serviceNetworks = followServiceNetworks({ ...own, objects });
    const shared = { ...own, serviceNetworks, nodes, nodeName: 'n1', netlink, nft, clock };
    await using _fabric = await startFabric({ ...shared, hasEgress: true });
    await using _proxy = await startProxy({
      ...shared,
      services,
      endpointSlices,
      applied: createAppliedRules(clock),
      mode,
      xtables,
    });

    const routes = async (): Promise<readonly string[]> =>
      (await netlink.state(ownNetns)).routes
        .filter(({ protocol }) => protocol === 112)
        .map(({ destination }) => destination)
        .toSorted();
    const tables = async (): Promise<readonly string[]> => {
      const [fabric = '', proxy = ''] = ['podwright-fabric', 'podwright-proxy'].map((name) => {
        const table = nft.table(ownNetns, { family: 'ip', name });
        return table === undefined ? '' : renderTable(table);
      });
      const refused = (await xtables.save(4)).get('filter')?.get('KUBE-SERVICES') ?? [];
      return [fabric, mode === 'iptables' ? refused.join('\n') : proxy];
    };
    const before = await tables();
    expect(await routes()).toEqual(['10.96.0.0/16']);

    objects.apply({ type: 'ADDED', object: object('more', '10.97.0.0/16') });
    await untilQuiet();
    expect(await routes()).toEqual(['10.96.0.0/16', '10.97.0.0/16']);
    const [fabric = '', proxy = ''] = await tables();
    expect(fabric).toContain('10.97.0.0/16');
    // nftables: marked, and refused in two chains, twice each. iptables: refused, twice.
    const named = proxy.match(mode === 'iptables' ? /-d 10\.97\.0\.0\/16/g : /ip daddr 10\.97\.0\.0\/16/g);
    expect(named).toHaveLength(mode === 'iptables' ? 2 : 5);
    const { metadata } = object('more');

    // Somebody removes the route by hand.
    await netlink.apply(ownNetns, [{ op: 'removeRoute', destination: '10.97.0.0/16' }]);
    await untilQuiet();
    expect(await routes()).toEqual(['10.96.0.0/16', '10.97.0.0/16']);

    objects.apply({ type: 'DELETED', object: { metadata: { ...metadata, resourceVersion: '3' } } });
    await untilQuiet();
    expect(await routes()).toEqual(['10.96.0.0/16']);
    expect(await tables()).toEqual(before);
  },
);
