import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import type { EndpointSlice, Node, Service } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { createInformerCache } from '#client/informer.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { createFakeXtables } from '#native/xtables/xtables.fake.ts';
import { createIptablesRules } from './iptables/iptables-rules.ts';
import { startProxy, type Proxy, type ProxyOptions } from './proxy.ts';
import { createAppliedRules } from './retraction/applied-rules.ts';
import type { ProxyMode } from './service-rules.ts';
import { ProxyCounts } from './status/proxy-counts.ts';

const table = { family: 'ip', name: 'podwright-proxy' } as const;

function node(zone: string, resourceVersion: string): Node {
  return { metadata: { name: 'n1', resourceVersion, labels: { 'topology.kubernetes.io/zone': zone } } };
}

const service: Service = {
  metadata: { namespace: 'd', name: 'web', uid: 'web', resourceVersion: '1' },
  spec: { clusterIP: '10.96.0.80', clusterIPs: ['10.96.0.80'], ports: [{ port: 80, protocol: 'TCP' }] },
};

const slice: EndpointSlice = {
  metadata: {
    namespace: 'd',
    name: 'web-1',
    uid: 'web-1',
    resourceVersion: '1',
    labels: { 'kubernetes.io/service-name': 'web' },
  },
  addressType: 'IPv4',
  ports: [{ port: 8080, protocol: 'TCP' }],
  endpoints: ['a', 'b'].map((zone, i) => ({
    addresses: [`10.244.${i}.5`],
    conditions: { ready: true },
    hints: { forZones: [{ name: zone }] },
  })),
};

/** The Service as one of a load balancer whose health check is at a port. */
function balancedAt(port: number): Service {
  const balanced = {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: port,
  } as const;
  return { metadata: { ...service.metadata, resourceVersion: '2' }, spec: { ...service.spec, ...balanced } };
}

async function start(
  mode: ProxyMode = 'nftables',
  protocol: 'TCP' | 'UDP' = 'TCP',
  more: Pick<ProxyOptions, 'counts' | 'events' | 'nodePortCidrs' | 'nodeAddresses'> = {},
) {
  const fail = (error: unknown): void => {
    throw error;
  };
  const [services, endpointSlices, nodes] = [
    createInformerCache<Service>(fail),
    createInformerCache<EndpointSlice>(fail),
    createInformerCache<Node>(fail),
  ];
  const ports = [{ port: 80, protocol }];
  services.replace([{ ...service, spec: { ...service.spec, ports } }], '1');
  endpointSlices.replace([{ ...slice, ports: [{ port: 8080, protocol }] }], '1');
  nodes.replace([node('a', '1')], '1');
  const [nft, clock, xtables] = [createFakeNft(), createFakeClock(), createFakeXtables()];
  const applied = createAppliedRules(clock);
  const proxy: Proxy = await startProxy({
    services,
    endpointSlices,
    nodes,
    nodeName: 'n1',
    nodeIps: ['192.0.2.1'],
    networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
    nft,
    mode,
    xtables,
    clock,
    applied,
    ...more,
    log: silentLogger,
  });
  const backends = (): readonly unknown[] =>
    Object.entries(nft.table(ownNetns, table)?.elements ?? {})
      .filter(([name]) => /^service-\d+$/.test(name))
      .flatMap(([, elements]) => elements.map(({ data }) => (Array.isArray(data) ? data[0] : undefined)));
  return { services, endpointSlices, nodes, nft, xtables, clock, proxy, backends, applied };
}

test('a Service whose health check port is taken is told so', async () => {
  const told: unknown[][] = [];
  const record = ({ object }: { readonly object: KubeObject }, ...event: readonly unknown[]): void => {
    told.push([object.metadata?.name, ...event]);
  };
  const { proxy, services } = await start('nftables', 'TCP', { events: { record } });
  await using _proxy = proxy;
  await using taken = createServer().listen(0, '0.0.0.0');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;

  services.apply({ type: 'MODIFIED', object: balancedAt(port) });
  await proxy.idle();
  expect(told).toEqual([
    [
      'web',
      'Warning',
      'FailedToStartServiceHealthcheck',
      `node n1 failed to start healthcheck "d/web" on port ${port}: listen tcp 0.0.0.0:${port}: bind: address already in use`,
    ],
  ]);
});

test('health checks of Services are answered where node ports are served', async () => {
  const { proxy, services } = await start('nftables', 'TCP', {
    nodePortCidrs: ['127.0.0.2/32', '127.0.0.3/32'],
    nodeAddresses: () => ['127.0.0.1', '127.0.0.2', '127.0.0.3'],
  });
  await using _proxy = proxy;
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;

  services.apply({ type: 'MODIFIED', object: balancedAt(port) });
  await proxy.idle();
  const ask = (host: string): Promise<number | undefined> =>
    fetch(`http://${host}:${port}/`).then(
      ({ status }) => status,
      () => undefined,
    );
  expect(await ask('127.0.0.2')).toBe(503);
  expect(await ask('127.0.0.3')).toBe(503);
  taken.close();
  await once(taken, 'close');
  expect(await ask('127.0.0.1')).toBeUndefined();
});

test("a node's new zone changes the endpoints that it prefers", async () => {
  const { proxy, nodes, backends } = await start();
  await using _proxy = proxy;

  expect(backends()).toEqual(['10.244.0.5']);
  nodes.apply({ type: 'MODIFIED', object: node('b', '2') });
  await proxy.idle();
  expect(backends()).toEqual(['10.244.1.5']);
});

test('a node without a zone uses all endpoints', async () => {
  const { proxy, nodes, backends } = await start();
  await using _proxy = proxy;

  nodes.apply({ type: 'MODIFIED', object: { metadata: { name: 'n1', resourceVersion: '2' } } });
  await proxy.idle();
  expect(backends()).toEqual(['10.244.0.5', '10.244.1.5']);
});

test('a refused change is followed by the whole table', async () => {
  const { proxy, nodes, nft, backends } = await start();
  await using _proxy = proxy;

  nft.failOnce('ENOENT');
  nodes.apply({ type: 'MODIFIED', object: node('b', '2') });
  await proxy.idle();
  expect(backends()).toEqual(['10.244.1.5']);
  expect(nft.commits.at(-1)?.ops.map(({ op }) => op)).toEqual(['replaceTable']);
});

test('flows that could not be removed are removed later', async () => {
  const { proxy, endpointSlices, clock, nft } = await start('nftables', 'UDP');
  await using _proxy = proxy;

  const flush = vi.spyOn(nft, 'flushConntrack').mockRejectedValueOnce(new Error('ENOBUFS'));
  const [slice] = endpointSlices.list();
  const [, second] = slice?.endpoints ?? [];
  const object = {
    ...slice,
    metadata: { ...slice?.metadata, resourceVersion: '2' },
    endpoints: second === undefined ? [] : [second],
  };
  endpointSlices.apply({ type: 'MODIFIED', object: { addressType: 'IPv4', ...object } });
  await proxy.idle();
  expect(flush).toHaveBeenCalledTimes(1);
  clock.advance(1_000);
  await proxy.idle();
  expect(flush).toHaveBeenCalledTimes(2);
  expect(flush.mock.calls[1]).toEqual(flush.mock.calls[0]);
});

const counted = ['iptables', 'nftables'] as const;

test.each(counted)('of mode %s, counts what is written and what is refused', async (mode) => {
  const counts = new ProxyCounts([4], 0);
  const { proxy, endpointSlices, nft, xtables } = await start(mode, 'UDP', { counts });
  await using _proxy = proxy;

  const change = async (resourceVersion: string, count: number): Promise<void> => {
    const metadata = { ...slice.metadata, resourceVersion };
    const endpoints = slice.endpoints?.slice(0, count).map((each) => ({ ...each, hints: {} })) ?? [];
    const ports = [{ port: 8080, protocol: 'UDP' as const }];
    endpointSlices.apply({ type: 'MODIFIED', object: { ...slice, ports, metadata, endpoints } });
    await proxy.idle();
  };
  const numbers = (): Readonly<Record<string, number>> =>
    Object.fromEntries(
      [
        ...counts.render(mode).matchAll(/^kubeproxy_(\S+?)\{ip_family="IPv4"(?:,table="(nat)")?\} (\d+)$/gm),
      ].map(([, name = '', table = '', value]) => [`${name}${table}`, Number(value)]),
    );
  await change('2', 2);
  const before = numbers();
  vi.spyOn(nft, 'flushConntrack').mockResolvedValueOnce(7);
  await change('3', 1);
  const changed = numbers();
  expect(changed).toMatchObject({
    conntrack_reconciler_deleted_entries_total: 7,
    conntrack_reconciler_sync_duration_seconds_count: 2,
  });
  if (mode === 'iptables') xtables.failOnce();
  else nft.failOnce('ENOENT');
  await change('4', 2);
  const after = numbers();
  if (mode === 'nftables') {
    expect(after).toMatchObject({ sync_proxy_rules_nftables_sync_failures_total: 1 });
    return;
  }
  const [total, last] = ['sync_proxy_rules_iptables_totalnat', 'sync_proxy_rules_iptables_lastnat'] as const;
  const rules = [...((await xtables.save(4)).get('nat') ?? [])].filter(([chain]) =>
    chain.startsWith('KUBE-'),
  );
  expect(after[total]).toBe(rules.reduce((sum, [, each]) => sum + each.length, 0));
  expect(after[last]).toBe(after[total]);
  expect(changed[total]).toBeLessThan(before[total] ?? 0);
  expect(changed[last]).toBeLessThan(changed[total] ?? 0);
  expect(after).toMatchObject({
    sync_full_proxy_rules_duration_seconds_count: 2,
    sync_partial_proxy_rules_duration_seconds_count: 3,
    sync_proxy_rules_iptables_restore_failures_total: 1,
    sync_proxy_rules_iptables_partial_restore_failures_total: 1,
  });
});

test('says how far the rules are when they and the flows are', async () => {
  const { proxy, endpointSlices, nft, applied } = await start('nftables', 'UDP');
  await using _proxy = proxy;

  expect(applied.revision()).toBe(1);
  const held = Promise.withResolvers<number>();
  vi.spyOn(nft, 'flushConntrack').mockReturnValueOnce(held.promise);
  const [slice] = endpointSlices.list();
  const object = { ...slice, metadata: { ...slice?.metadata, resourceVersion: '2' }, endpoints: [] };
  endpointSlices.apply({ type: 'MODIFIED', object: { addressType: 'IPv4', ...object } });
  const reached = applied.reach(2, 60_000);
  await untilQuiet();
  expect(applied.revision()).toBe(1);
  held.resolve(0);
  expect(await reached).toBe(2);
  await proxy.idle();
  const [table] = await applied.tables();
  expect(table).toMatchObject({ name: 'podwright-proxy', family: 'ip', rulesFound: table?.rulesWanted });
});

test('a table that somebody else removed or flushed is made again; others do not matter', async () => {
  const { proxy, clock, nft, backends } = await start();
  await using _proxy = proxy;

  const look = async (): Promise<void> => {
    const looks = vi.spyOn(nft, 'generation');
    // The second one begins after the first has had its consequences.
    await vi.waitFor(
      () => {
        clock.advance(1_000);
        expect(looks.mock.calls.length).toBeGreaterThan(1);
      },
      { timeout: 60_000 },
    );
    looks.mockRestore();
    await proxy.idle();
  };
  await nft.commit(ownNetns, [{ op: 'ensureTable', table: { family: 'inet', name: 'other' } }]);
  const before = nft.commits.length;
  await look();
  expect(nft.commits.length).toBe(before);
  nft.dropTable(ownNetns, table);
  await look();
  expect(backends()).toEqual(['10.244.0.5']);
  await nft.commit(ownNetns, [{ op: 'flushChain', table, name: 'services' }]);
  await look();
  expect(nft.commits.at(-1)?.ops.map(({ op }) => op)).toEqual(['replaceTable']);
});

describe('iptables', () => {
  type Tables = Awaited<ReturnType<typeof start>>['xtables'];
  const targets = async (xtables: Tables): Promise<readonly string[]> =>
    [...((await xtables.save(4)).get('nat')?.values() ?? [])]
      .flat()
      .flatMap((rule) => / --to-destination (\S+)/.exec(rule)?.[1] ?? []);

  test('a change that is refused is followed by all rules, and UDP flows end once they are there', async () => {
    const { proxy, endpointSlices, services, nft, xtables } = await start('iptables');
    await using _proxy = proxy;

    expect(await targets(xtables)).toEqual(['10.244.0.5:8080']);
    const udp = [{ port: 80, protocol: 'UDP' as const }];
    const meta = ({ metadata }: Service | EndpointSlice) => ({ ...metadata, resourceVersion: '9' });
    const spec = { ...service.spec, ports: udp };
    services.apply({ type: 'MODIFIED', object: { ...service, metadata: meta(service), spec } });
    xtables.failOnce();
    const moved: EndpointSlice = {
      ...{ ...slice, metadata: meta(slice), ports: [{ port: 53, protocol: 'UDP' }] },
      endpoints: [{ addresses: ['10.244.0.6'], conditions: { ready: true } }],
    };
    endpointSlices.apply({ type: 'MODIFIED', object: moved });
    await proxy.idle();
    expect(await targets(xtables)).toEqual(['10.244.0.6:53']);
    expect(xtables.restored.at(-1)).toContain('-I PREROUTING');
    expect(nft.flushes.map(({ originalDestination }) => originalDestination)).toEqual(['10.96.0.80']);
  });

  test('rules that somebody removed are made again; a look costs no program while nobody changes anything', async () => {
    const { proxy, clock, nft, xtables, applied } = await start('iptables');
    await using _proxy = proxy;

    const saves = vi.spyOn(xtables, 'save');
    const look = async (): Promise<void> => {
      const looks = vi.spyOn(nft, 'generation');
      await vi.waitFor(
        () => {
          clock.advance(1_000);
          expect(looks.mock.calls.length).toBeGreaterThan(1);
        },
        { timeout: 60_000 },
      );
      looks.mockRestore();
      await proxy.idle();
    };
    await look();
    const before = saves.mock.calls.length;
    await look();
    expect(saves.mock.calls.length - before).toBeLessThan(2);
    const lost = async (): Promise<readonly string[]> =>
      (await applied.tables()).filter((one) => one.rulesFound < one.rulesWanted).map(({ name }) => name);
    expect(await lost()).toEqual([]);
    xtables.flush(4, 'nat');
    expect(await lost()).toEqual(['nat']);
    await nft.commit(ownNetns, [{ op: 'ensureTable', table: { family: 'inet', name: 'other' } }]);
    await look();
    await look();
    expect(await targets(xtables)).toEqual(['10.244.0.5:8080']);
  });

  test('beside another Service proxy the agent does not start', async () => {
    const xtables = createFakeXtables();
    await xtables.restore(4, '*nat\n:KUBE-SERVICES - [0:0]\n-A OUTPUT -j KUBE-SERVICES\nCOMMIT\n');
    const before = await xtables.save(4);
    const started = createIptablesRules({
      ...{
        networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
        nodeIps: [],
      },
      ...{ nft: createFakeNft(), xtables, clock: createFakeClock(), log: silentLogger },
    });
    await expect(started).rejects.toMatchObject({ code: 'E_BUSY' });
    expect(await xtables.save(4)).toEqual(before);
  });

  test('a kernel that lacks something is told of at the start', async () => {
    const xtables = createFakeXtables();
    xtables.failOnce();
    const networks = [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }] as const;
    const started = createIptablesRules({
      ...{ networks, nodeIps: ['192.0.2.1'], nft: createFakeNft(), xtables },
      ...{ clock: createFakeClock(), log: silentLogger },
    });
    await expect(started).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });
});
