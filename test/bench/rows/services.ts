import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { renderContribution } from '#agent/proxy/contribution.ts';
import { startProxy, type Proxy } from '#agent/proxy/proxy.ts';
import { createRuleset, type Ruleset } from '#agent/proxy/ruleset.ts';
import { computeProxyPorts } from '#agent/proxy/service-map.ts';
import { familyFacts } from '#agent/proxy/table-layout.ts';
import type { EndpointSlice, Node, Service } from '#api/generated/objects.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createInformerCache, type InformerCache } from '#client/informer.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createNetlinkWorker, type NetlinkWorker } from '#native/netlink/worker.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import type { NftOp } from '#native/nft/nft.ts';
import { renderNftOp, renderTable } from '#native/nft/render.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';
import { alternate, ifInstalled, timed, type Contender } from '#test/bench/measure.ts';
import { outputOf } from '#test/bench/oci-runtime.ts';
import { atMost, type Measurement, type Row, type Scale } from '#test/bench/row.ts';
import { renderChains, renderChainsTable, serviceObjects } from '#test/bench/service-objects.ts';

const servicesMax = 10_000;
const endpointsEach = 5;
const cidrs = { clusterCidr: '10.128.0.0/9', serviceCidr: '10.96.0.0/12' };
const networks = [{ family: 4, ...cidrs }] as const;
const node = { name: 'node-1', zone: undefined, ips: ['192.0.2.1'] };

/** Service rules: a whole load, and one change among many. */
export const services: Row = {
  name: 'services',
  inNamespaces: true,
  run: async (scale) => {
    await using kernel = await createNetlinkWorker();

    const ruleset = createRuleset({ family: 'ip', ...cidrs });
    for (let n = 1; n <= servicesMax; n++) setService(ruleset, n, endpointsEach);
    const measurements = [
      await load(kernel, ruleset, scale),
      await changeInKernel(ruleset, scale),
      await chainsOfThousand(scale),
    ];
    await kernel.nft.commit(ownNetns, [{ op: 'removeTable', table: ruleset.takeTable() }]);
    return [...measurements, ...(await fromObjects(kernel, scale))];
  },
};

function setService(ruleset: Ruleset, n: number, endpoints: number): void {
  const { service, slice } = serviceObjects(n, endpoints, 1);
  const ports = computeProxyPorts(service, [slice], node, 'ip');
  ruleset.set(`bench/s${n}`, renderContribution(ports, familyFacts.ip));
}

/** The same table, ours by one transaction of the Worker, the peer's as text under another name. */
async function load(kernel: NetlinkWorker, ruleset: Ruleset, scale: Scale): Promise<Measurement> {
  const table = ruleset.takeTable();
  const file = join(tmpdir(), 'load.nft');
  // Without its few rules: nft has no words for a map whose key has a number from numgen in it.
  const text = renderTable({ ...table, name: 'peer', chains: [] });
  await writeFile(file, `table ip peer\ndelete table ip peer\n${text}\n`);
  return alternate({
    what: `load ${servicesMax} Services × ${endpointsEach} (peer: the maps only)`,
    unit: 'ms',
    contenders: [
      {
        name: 'podwright',
        round: () => timed(() => kernel.nft.commit(ownNetns, [{ op: 'replaceTable', table }])),
      },
      nftFile(file),
    ],
    rounds: scale.rounds(6),
    warmUp: 1,
    budgets: [atMost(300)],
  });
}

function nftFile(file: string): Contender {
  return ifInstalled('nft', (path) => () => timed(() => outputOf([path, '-f', file])));
}

/** A Service goes and comes back with one endpoint less: elements of two maps in one transaction. */
async function changeInKernel(ruleset: Ruleset, scale: Scale): Promise<Measurement> {
  // Not through the Worker: the thread's turn is part of the row from the object's change.
  const nft = createSyncNft();
  let endpoints = endpointsEach;
  const next = (): readonly NftOp[] => {
    endpoints = endpoints === endpointsEach ? endpointsEach - 1 : endpointsEach;
    setService(ruleset, 77, endpoints);
    return ruleset.takeChanges();
  };
  await nft.commit(ownNetns, next()); // The map for one endpoint less is there from now on.
  const file = join(tmpdir(), 'change.nft');
  return alternate({
    what: `change one Service among ${servicesMax}, in the kernel`,
    unit: 'ms',
    contenders: [
      {
        name: 'podwright',
        round: () => {
          const ops = next();
          return timed(() => nft.commit(ownNetns, ops));
        },
      },
      ifInstalled('nft', (path) => async () => {
        const text = next().map(renderNftOp).join('\n');
        await writeFile(file, `${text}\n`);
        return timed(() => outputOf([path, '-f', file]));
      }),
    ],
    rounds: scale.rounds(50),
    budgets: [atMost(1)],
  });
}

/** What chains cost, at a tenth of the size: at 10,000 it is minutes. */
async function chainsOfThousand(scale: Scale): Promise<Measurement> {
  const [count, whole, one] = [1000, join(tmpdir(), 'chains.nft'), join(tmpdir(), 'chain.nft')];
  const rest = renderChains('chains', 1, count, endpointsEach);
  await writeFile(whole, `${renderChainsTable('chains')}${rest}`);
  await writeFile(one, renderChains('chains', count, count + 1, endpointsEach));
  const reset = join(tmpdir(), 'reset.nft');
  await writeFile(reset, 'table ip chains\ndelete table ip chains\n');
  const small = createRuleset({ family: 'ip', ...cidrs });
  for (let n = 1; n < count; n++) setService(small, n, endpointsEach);
  const nft = createSyncNft();
  const measured = await alternate({
    what: `load ${count} Services × ${endpointsEach}, peer with chains as kube-proxy`,
    unit: 'ms',
    contenders: [
      {
        name: 'podwright',
        round: () => {
          const table = { ...small.takeTable(), name: 'small' };
          return timed(() => nft.commit(ownNetns, [{ op: 'replaceTable', table }]));
        },
      },
      ifInstalled('nft', (path) => async () => {
        await outputOf([path, '-f', reset]);
        return timed(() => outputOf([path, '-f', whole]));
      }),
    ],
    rounds: scale.rounds(3),
    warmUp: 0,
  });
  const addOneMs = await addOne(one);
  return { ...measured, detail: { peerAddsOneMs: addOneMs } };
}

async function addOne(file: string): Promise<number | undefined> {
  const contender = nftFile(file);
  return 'skipped' in contender ? undefined : contender.round();
}

/** Through the proxy: from the informers' caches to the commit. */
async function fromObjects(kernel: NetlinkWorker, scale: Scale): Promise<readonly Measurement[]> {
  const fail = (error: unknown): void => {
    throw error;
  };
  const [serviceCache, sliceCache] = [
    createInformerCache<Service>(fail),
    createInformerCache<EndpointSlice>(fail),
  ];
  const nodes = createInformerCache<Node>(fail);
  nodes.replace([], '1');
  const all = Array.from({ length: servicesMax }, (_, n) => serviceObjects(n + 1, endpointsEach, 1));
  serviceCache.replace(
    all.map(({ service }) => service),
    '1',
  );
  sliceCache.replace(
    all.map(({ slice }) => slice),
    '1',
  );
  const start = (): Promise<Proxy> =>
    startProxy({
      networks,
      services: serviceCache,
      endpointSlices: sliceCache,
      nodes,
      nodeName: node.name,
      nodeIps: node.ips,
      nft: kernel.nft,
      xtables: createXtables(process.env, kernel.nft),
      clock: systemClock,
      log: silentLogger,
    });
  const startMs = performance.now();
  await using proxy = await start();

  const loadMs = performance.now() - startMs;
  const change = changer(sliceCache, proxy);
  return [
    await alternate({
      what: `one endpoint's change among ${servicesMax}, from the cache to the commit`,
      unit: 'ms',
      contenders: [{ name: 'podwright', round: () => timed(change) }],
      rounds: scale.rounds(50),
      budgets: [atMost(10)],
      detail: () => ({ loadFromObjectsMs: loadMs }),
    }),
  ];
}

function changer(cache: InformerCache<EndpointSlice>, proxy: Proxy): () => Promise<void> {
  let version = 1;
  return async () => {
    version++;
    const { slice } = serviceObjects(77, endpointsEach - (version % 2), version);
    cache.apply({ type: 'MODIFIED', object: slice });
    await proxy.idle();
  };
}
