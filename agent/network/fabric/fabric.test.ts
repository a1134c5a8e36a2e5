import { expect, test, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import type { Node } from '#api/generated/objects.ts';
import { createInformerCache } from '#client/informer.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { startFabric } from './fabric.ts';

const nodeOf = (index: number): Node => ({
  metadata: { name: `n${index}`, resourceVersion: `${index}` },
  spec: { podCIDR: `10.244.${index}.0/24` },
  status: { addresses: [{ type: 'InternalIP', address: `192.0.2.${index}` }] },
});

test('looks for the sake of other nodes take a tenth of the time and read what the kernel has once, and each node has its route', async () => {
  const nodes = createInformerCache<Node>((error) => {
    throw error;
  });
  nodes.replace([nodeOf(1)], '1');
  const [netlink, clock] = [createFakeNetlink(), createFakeClock()];
  const reads = vi.spyOn(netlink, 'state');
  await netlink.apply(ownNetns, [
    { op: 'ensureAddress', name: 'eth0', address: '192.0.2.1/24' },
    { op: 'setLink', name: 'eth0', up: true },
  ]);
  const own = { nodeName: 'n1', nodeIps: ['192.0.2.1'], hasEgress: false, log: silentLogger };
  const networks = [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16' } as const];
  const onLook = vi.fn<() => Promise<void>>(async () => clock.advance(1));
  await using _fabric = await startFabric({
    ...{ ...own, networks, nodes, netlink, nft: createFakeNft(), clock, onLook },
  });
  for (const mock of [reads, onLook]) mock.mockClear();

  const others = Array.from({ length: 100 }, (_, index) => nodeOf(index + 2));
  for (const node of others) {
    nodes.apply({ type: 'ADDED', object: node });
    clock.advance(1);
    await untilQuiet();
  }
  clock.advance(1_000);
  await untilQuiet();

  expect(reads).toHaveBeenCalledTimes(0);
  expect(onLook.mock.calls.length).toBeLessThan(others.length / 2);
  const { routes } = await netlink.state(ownNetns);
  const there = new Set(routes.map(({ destination }) => destination));
  expect(others.filter(({ spec }) => !there.has(spec?.podCIDR ?? ''))).toEqual([]);
});
