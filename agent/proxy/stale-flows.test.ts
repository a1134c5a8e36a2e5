import { describe, expect, test } from 'vitest';
import type { Endpoint, ServiceSpec } from '#api/generated/objects.ts';
import { conntrackMatcher } from '#native/nft/conntrack.ts';
import { local, node, ports, remote, terminating } from './services.fixture.ts';
import { computeProxyPorts, type ProxyPort } from './service-map.ts';
import { computeStaleFlows } from './stale-flows.ts';

describe('computeStaleFlows()', () => {
  const udp = { ports: [{ port: 53, protocol: 'UDP' }] } as const;
  const flows = (before: readonly Endpoint[], after: readonly Endpoint[], spec: ServiceSpec = udp): unknown =>
    computeStaleFlows(ports(spec, before), ports(spec, after), ['192.0.2.1']);
  const at = (originalDestination: string, port: number, ...except: readonly object[]) => ({
    protocol: 17,
    originalDestination,
    port,
    replies: { except },
  });
  const own = (...except: readonly object[]) => at('10.96.0.80', 53, ...except);
  const here = { ip: '10.244.0.5', port: 8080 };
  const there = { ip: '10.244.1.5', port: 8080 };
  test.each([
    ['a backend goes', [local, remote], [remote], [own(there)]],
    ['the last backend goes', [local], [], [own()]],
    ['the first backend comes', [], [local], [own(here)]],
    ['a further backend comes', [local], [local, remote], []],
    ['nothing changes', [local], [local], []],
  ])('%s', (_name, before, after, want) => expect(flows(before, after)).toEqual(want));

  const open = {
    type: 'LoadBalancer',
    ports: [{ port: 53, nodePort: 30_053, protocol: 'UDP' }],
    externalIPs: ['203.0.113.5'],
  } as const;
  const everywhere = ['10.96.0.80', '203.0.113.5', '203.0.113.80'];
  const changed = (before: readonly ProxyPort[], after: readonly ProxyPort[]): unknown =>
    computeStaleFlows(before, after, ['192.0.2.1']);
  const onPort = (list: readonly ProxyPort[], port: number): readonly ProxyPort[] =>
    list.map((item) => ({
      ...item,
      backends: item.backends.map((backend) => ({ ...backend, port })),
      localBackends: item.localBackends.map((backend) => ({ ...backend, port })),
      flowBackends: item.flowBackends?.map((backend) => ({ ...backend, port })) ?? [],
    }));

  test('the port that answers changes: wherever the Service is reached', () => {
    const before = ports(open, [local]);
    const keep = { ip: here.ip, port: 8081 };
    expect(changed(before, onPort(before, 8081))).toEqual([
      ...everywhere.map((ip) => at(ip, 53, keep)),
      at('192.0.2.1', 30_053, keep),
      { protocol: 17, port: 30_053, replies: { only: [here] } },
    ]);
  });

  test('the protocol changes: nothing answers UDP any more', () => {
    const tcp = { ...open, ports: [{ ...open.ports[0], protocol: 'TCP' }] } as const;
    expect(changed(ports(open, [local]), ports(tcp, [local]))).toEqual([
      ...everywhere.map((ip) => at(ip, 53)),
      at('192.0.2.1', 30_053),
      { protocol: 17, port: 30_053, replies: { only: [here] } },
    ]);
  });

  test('the name of a port changes: nothing else does', () => {
    const before = ports(open, [local]);
    expect(
      changed(
        before,
        before.map((item) => ({ ...item, id: 'd/web:other' })),
      ),
    ).toEqual([]);
  });

  test('two ports change places', () => {
    const [first] = ports(open, [local]);
    const both = (a: number, b: number): readonly ProxyPort[] =>
      [a, b].flatMap((backendPort, index) =>
        onPort(first === undefined ? [] : [first], backendPort).map((item) => ({
          ...item,
          id: `d/web:${index}`,
          clusterIps: [{ address: '10.96.0.80', port: 53 + index }],
          externals: [],
          nodePort: undefined,
        })),
      );
    expect(changed(both(1, 2), both(2, 1))).toEqual([
      at('10.96.0.80', 53, { ip: here.ip, port: 2 }),
      at('10.96.0.80', 54, { ip: here.ip, port: 1 }),
    ]);
  });

  test('a policy, or what is near, is about new flows alone', () => {
    const inside = { ...udp, internalTrafficPolicy: 'Local' } as const;
    expect(changed(ports(udp, [local, remote]), ports(inside, [local, remote]))).toEqual([]);
    expect(changed(ports(inside, [local, remote]), ports(inside, [local]))).toEqual([own(here)]);
    const hinted = [local, remote].map((each, i) => ({
      ...each,
      hints: { forZones: [{ name: i === 0 ? 'zone-a' : 'zone-b' }] },
    }));
    expect(flows([local, remote], hinted)).toEqual([]);
    expect(ports(udp, hinted)[0]?.backends.map(({ ip }) => ip)).toEqual([here.ip]);
    const outside = { ...open, externalTrafficPolicy: 'Local' } as const;
    expect(changed(ports(open, [local, remote]), ports(outside, [local, remote]))).toEqual([]);
  });

  test('a backend that terminates keeps its flows while it serves', () => {
    const ending = { ...remote, conditions: terminating };
    const silent = { ...remote, conditions: { ...terminating, serving: false } };
    expect(flows([local, remote], [local, ending])).toEqual([]);
    expect(flows([remote], [ending])).toEqual([]);
    expect(flows([local, ending], [local, silent])).toEqual([own(here)]);
    expect(flows([local, ending], [local])).toEqual([own(here)]);
  });

  test('what was an address or a node port of the Service no longer leads to its backends', () => {
    const external = { ...open, type: 'NodePort' } as const;
    expect(changed(ports(external, [local]), ports(udp, [local]))).toEqual([
      at('203.0.113.5', 53),
      at('192.0.2.1', 30_053),
      { protocol: 17, port: 30_053, replies: { only: [here] } },
    ]);
  });

  test('of a proxy that starts, flows to backends that are there live on', () => {
    expect(changed([], ports(udp, [local, remote]))).toEqual([own(here, there)]);
  });

  test('TCP ends by itself', () => expect(flows([local], [], {})).toEqual([]));

  test('of all entries that may be there, those of UDP go that lead to nobody who serves', () => {
    const conditions = { serving: true };
    const names = ['TCP', 'UDP', 'SCTP'] as const;
    const spec = {
      ...open,
      ports: names.map((protocol) => ({
        ...{ name: protocol.toLowerCase(), port: 8000, protocol },
        ...(protocol === 'TCP' ? {} : { nodePort: 32_000 }),
      })),
    };
    const endpoints = [
      { ...local, conditions },
      { ...remote, conditions: { ready: false, serving: false } },
    ];
    const slicePorts = names.map((protocol) => ({ name: protocol.toLowerCase(), port: 9090, protocol }));
    const given = computeProxyPorts(
      {
        metadata: { namespace: 'd', name: 'web' },
        spec: { clusterIPs: ['10.96.0.80'], ...spec },
        status: { loadBalancer: { ingress: [{ ip: '203.0.113.80' }] } },
      },
      [{ addressType: 'IPv4', ports: slicePorts, endpoints }],
      node,
      'ip',
    );
    const places = everywhere.flatMap((ip) => [8000, 3000].map((port) => ({ ip, port })));
    const answers = ['10.244.0.5', '10.244.1.5', '10.244.1.6'].map((ip) => ({ ip, port: 9090 }));
    const isMeant = conntrackMatcher(computeStaleFlows([], given, ['192.0.2.1']));
    const left = [6, 17, 132].flatMap((protocol) =>
      [...places, { ip: '192.0.2.1', port: 32_000 }].flatMap((to) => {
        const untranslated = { ip: to.ip, port: to.port };
        const old = { ip: '10.244.0.5', port: 8080 };
        return [...answers, old, untranslated].map((reply) => ({ protocol, to, reply }));
      }),
    );
    const gone = left.filter(({ protocol, to, reply }) =>
      isMeant({
        ...{ family: 2, protocol, originalSource: '10.244.0.9', identity: [] },
        ...{ originalDestination: to.ip, originalDestinationPort: to.port },
        ...{ replySource: reply.ip, replySourcePort: reply.port },
      }),
    );
    const isServed = ({ to }: { readonly to: { readonly port: number } }): boolean => to.port !== 3000;
    expect(gone).toEqual(
      left.filter(
        ({ protocol, to, reply }) =>
          protocol === 17 && isServed({ to }) && !(reply.ip === '10.244.0.5' && reply.port === 9090),
      ),
    );
    expect(gone).toHaveLength(4 * 4);
  });
});
