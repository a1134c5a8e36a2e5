import { describe, expect, test } from 'vitest';
import type { Endpoint, EndpointSlice, Service, ServiceSpec } from '#api/generated/objects.ts';
import { computeProxyPorts, countLocalReady, healthCheckPortOf } from './service-map.ts';
import { endpoint, local, node, ports, remote, terminating } from './services.fixture.ts';

describe('endpoints by topology hints', () => {
  const near = (zone: string): Partial<Endpoint> => ({ hints: { forZones: [{ name: zone }] } });
  test.each([
    [
      'all have hints, some for our zone',
      [endpoint('10.244.1.1', near('zone-a')), endpoint('10.244.1.2', near('zone-b'))],
      ['10.244.1.1'],
    ],
    [
      'one has none',
      [endpoint('10.244.1.1', near('zone-a')), endpoint('10.244.1.2')],
      ['10.244.1.1', '10.244.1.2'],
    ],
    [
      'none for our zone',
      [endpoint('10.244.1.1', near('zone-b')), endpoint('10.244.1.2', near('zone-c'))],
      ['10.244.1.1', '10.244.1.2'],
    ],
    [
      'for another node only: then by zone',
      [
        endpoint('10.244.1.1', { hints: { forNodes: [{ name: 'node-2' }], forZones: [{ name: 'zone-a' }] } }),
        endpoint('10.244.1.2', { hints: { forNodes: [{ name: 'node-3' }], forZones: [{ name: 'zone-b' }] } }),
      ],
      ['10.244.1.1'],
    ],
    [
      'several hints each: those that name our zone',
      [
        endpoint('10.244.1.1', { hints: { forZones: ['zone-b', 'zone-a'].map((name) => ({ name })) } }),
        endpoint('10.244.1.2', { hints: { forZones: ['zone-b', 'zone-d'].map((name) => ({ name })) } }),
        endpoint('10.244.1.3', near('zone-a')),
      ],
      ['10.244.1.1', '10.244.1.3'],
    ],
    [
      'none that is ready for our zone',
      [
        endpoint('10.244.1.1', { ...near('zone-a'), conditions: { ready: false } }),
        endpoint('10.244.1.2', near('zone-b')),
        endpoint('10.244.1.3', near('zone-c')),
      ],
      ['10.244.1.2', '10.244.1.3'],
    ],
    [
      'those near are ready beside one of ours that terminates',
      [
        endpoint('10.244.1.1', near('zone-a')),
        endpoint('10.244.1.2', { ...near('zone-a'), conditions: terminating }),
        endpoint('10.244.1.3', near('zone-b')),
      ],
      ['10.244.1.1'],
    ],
    [
      'all terminating: hints do not count',
      [
        endpoint('10.244.1.1', { ...near('zone-a'), conditions: terminating }),
        endpoint('10.244.1.2', { ...near('zone-b'), conditions: terminating }),
      ],
      ['10.244.1.1', '10.244.1.2'],
    ],
    [
      'one that is not ready has none',
      [
        endpoint('10.244.1.1', near('zone-a')),
        endpoint('10.244.1.2', near('zone-b')),
        endpoint('10.244.1.3', { conditions: { ready: false } }),
      ],
      ['10.244.1.1'],
    ],
    [
      'for our node',
      [
        endpoint('10.244.0.1', { hints: { forNodes: [{ name: 'node-1' }] } }),
        endpoint('10.244.1.2', { hints: { forNodes: [{ name: 'node-2' }] } }),
      ],
      ['10.244.0.1'],
    ],
  ])('%s', (_name, endpoints, want) =>
    expect(ports({}, endpoints)[0]?.backends.map((item) => item.ip)).toEqual(want),
  );
});

test('hints are for nodes of a zone, and for traffic that may go anywhere', () => {
  const near = (ip: string, zone: string): Endpoint =>
    endpoint(ip, { hints: { forZones: [{ name: zone }] } });
  const endpoints = [
    near('10.244.0.1', 'zone-a'),
    near('10.244.0.2', 'zone-b'),
    near('10.244.1.1', 'zone-a'),
  ];
  const [port] = ports({ externalTrafficPolicy: 'Local', type: 'NodePort' }, endpoints);
  expect(port?.backends.map(({ ip }) => ip)).toEqual(['10.244.0.1', '10.244.1.1']);
  expect(port?.localBackends.map(({ ip }) => ip)).toEqual(['10.244.0.1', '10.244.0.2']);
  const service = { spec: { clusterIPs: ['10.96.0.80'], ports: [{ port: 80 }] } };
  const slices = [{ addressType: 'IPv4' as const, ports: [{ port: 80 }], endpoints }];
  for (const zone of ['', undefined]) {
    const [own] = computeProxyPorts(service, slices, { ...node, zone }, 'ip');
    expect(own?.backends).toHaveLength(3);
  }
});

describe('endpoints by policy, as kube-proxy sorts them', () => {
  const at = (ip: string, ready: boolean, isServing = ready): Endpoint =>
    endpoint(ip, { conditions: { ready, serving: isServing, terminating: !ready } });
  const [here, there] = [at('10.244.0.1', true), at('10.244.1.1', true)];
  const [leavingHere, leavingThere] = [at('10.244.0.2', false, true), at('10.244.1.2', false, true)];
  test.each<[string, readonly Endpoint[], readonly string[], readonly string[]]>([
    ['none', [], [], []],
    ['some here', [here, there], ['10.244.0.1', '10.244.1.1'], ['10.244.0.1']],
    ['all elsewhere', [there], ['10.244.1.1'], []],
    ['all terminate', [leavingHere, leavingThere], ['10.244.0.2', '10.244.1.2'], ['10.244.0.2']],
    ['all elsewhere, and terminate', [leavingThere], ['10.244.1.2'], []],
    [
      'one elsewhere, one here that terminates, others that serve nobody',
      [there, leavingHere, leavingThere, at('10.244.0.3', false)],
      ['10.244.1.1'],
      ['10.244.0.2'],
    ],
    ['not ready, and not terminating', [endpoint('10.244.0.4', { conditions: { ready: false } })], [], []],
  ])('%s', (_name, endpoints, all, local) => {
    const [port] = ports({ internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }, endpoints);
    expect(port?.backends.map(({ ip }) => ip)).toEqual(all);
    expect(port?.localBackends.map(({ ip }) => ip)).toEqual(local);
  });
});

test('an address that one slice says is here and another elsewhere is here', () => {
  const { nodeName: _here, ...nowhere } = local;
  for (const endpoints of [
    [local, nowhere],
    [nowhere, local],
  ])
    expect(ports({}, endpoints)[0]?.backends).toEqual([{ ip: '10.244.0.5', port: 8080, isLocal: true }]);
});

test('a slice with a port that is none is left out', () => {
  const service = { spec: { clusterIPs: ['10.96.0.80'], ports: [{ port: 80 }] } };
  const slices = [8080, 70_000, 0].map((port) => ({
    addressType: 'IPv4' as const,
    ports: [{ port }],
    endpoints: [{ addresses: [`10.244.0.${port % 250}`] }],
  }));
  expect(computeProxyPorts(service, slices, node, 'ip')[0]?.backends.map(({ port }) => port)).toEqual([8080]);
});

test('words that are no addresses are left out', () => {
  const spec: ServiceSpec = { type: 'NodePort', externalIPs: ['203.0.113.5', 'x', '203.0.113'] };
  const [port] = ports(spec, [local, endpoint('10.244.0')]);
  expect(port?.externals.map(({ address }) => address)).toEqual(['203.0.113.5']);
  expect(port?.backends.map(({ ip }) => ip)).toEqual(['10.244.0.5']);
});

test('addresses that older objects have are what they mean, each once (kube-proxy reads them by ParseIPSloppy)', () => {
  const old: Service = {
    metadata: { namespace: 'd', name: 'web' },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '172.030.0.041',
      clusterIPs: ['172.030.0.041', '2001:DB8:0::41'],
      ports: [{ port: 80 }],
      externalIPs: ['192.168.099.011', '2001:DB8::5', '2001:db8:0:0::5', '::ffff:192.0.2.7'],
      loadBalancerSourceRanges: ['203.0.113.000/025'],
    },
    status: { loadBalancer: { ingress: [{ ip: '001.002.003.004' }, { ip: '2001:DB8::80' }] } },
  };
  const slice = (addressType: 'IPv4' | 'IPv6', ...addresses: readonly string[]): EndpointSlice => ({
    addressType,
    ports: [{ port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  });
  // The last of each is of the other family.
  const slices = [
    slice('IPv4', '10.180.00.001', '10.180.0.1', 'fd00::1'),
    slice('IPv6', 'FD00::0:1', 'fd00::1', '10.180.0.1'),
  ];
  const addressesOf = (family: 'ip' | 'ip6'): unknown =>
    computeProxyPorts(old, slices, node, family).map(({ clusterIps, externals, backends, sourceLimit }) => [
      clusterIps.map(({ address }) => address),
      externals.map(({ address }) => address),
      backends.map(({ ip }) => ip),
      sourceLimit?.sources,
    ]);
  expect(addressesOf('ip')).toEqual([
    [
      ['172.30.0.41'],
      ['192.168.99.11', '192.0.2.7', '1.2.3.4'],
      ['10.180.0.1'],
      [{ address: '203.0.113.0', prefixLength: 25 }],
    ],
  ]);
  expect(addressesOf('ip6')).toEqual([
    [['2001:db8::41'], ['2001:db8::5', '2001:db8::80'], ['fd00::1'], undefined],
  ]);
});

test('Services that are not ours get nothing', () => {
  expect(ports({ clusterIP: 'None' }, [local])).toEqual([]);
  expect(ports({ type: 'ExternalName' }, [local])).toEqual([]);
  expect(ports({}, [local], 'web', { 'service.kubernetes.io/service-proxy-name': 'other' })).toEqual([]);
  expect(ports({}, [local], 'web', { 'service.kubernetes.io/headless': '' })).toEqual([]);
});

describe('countLocalReady()', () => {
  const notReady = endpoint('10.244.0.6', { conditions: { ready: false } });
  const leaving = endpoint('10.244.0.7', { conditions: terminating });
  test.each<[string, readonly Endpoint[], number]>([
    ['one here, one elsewhere', [local, remote], 1],
    ['none', [remote], 0],
    ['not ready and terminating ones do not count', [notReady, leaving], 0],
    ['one address once', [local, local], 1],
    ['one address in two texts', [local, endpoint('010.244.0.5', { nodeName: 'node-1' })], 1],
    ['no word about readiness', [{ addresses: ['10.244.0.8'], nodeName: 'node-1' }], 1],
  ])('%s', (_name, endpoints, want) => {
    const slices = [
      { addressType: 'IPv4' as const, endpoints },
      { addressType: 'IPv4' as const, ports: [{ port: 9000 }], endpoints },
      { addressType: 'IPv6' as const, endpoints: [{ addresses: ['fd00::5'], nodeName: 'node-1' }] },
    ];
    expect(countLocalReady(slices, 'node-1', 'ip')).toBe(want);
  });

  test('pods without the port that a Service names have nothing to answer by', () => {
    const slice = { addressType: 'IPv4' as const, endpoints: [local] };
    for (const ports of [[], undefined, [{ name: 'web' }], [{ port: 0 }]])
      expect(countLocalReady([{ ...slice, ...(ports === undefined ? {} : { ports }) }], 'node-1', 'ip')).toBe(
        0,
      );
  });
});

describe('healthCheckPortOf()', () => {
  const wanted: ServiceSpec = {
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    healthCheckNodePort: 30_999,
  };
  const { healthCheckNodePort: _none, ...unallocated } = wanted;
  test.each<[string, ServiceSpec, number | undefined]>([
    ['a load balancer, Local', wanted, 30_999],
    ['Cluster', { ...wanted, externalTrafficPolicy: 'Cluster' }, undefined],
    ['a node port', { ...wanted, type: 'NodePort' }, undefined],
    ['nothing allocated', unallocated, undefined],
  ])('%s', (_name, spec, want) => expect(healthCheckPortOf({ spec })).toBe(want));

  test("another proxy's Service", () => {
    const metadata = { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } };
    expect(healthCheckPortOf({ metadata, spec: wanted })).toBeUndefined();
  });
});
