import { describe, expect, test } from 'vitest';
import type { Endpoint, ServiceSpec } from '#api/generated/objects.ts';
import { unreachable } from '#base/unreachable.ts';
import { renderIptables } from './iptables/contribution.ts';
import { renderIptablesLayout } from './iptables/layout.ts';
import { walkIptables } from './iptables/walk.ts';
import { describeWalk, walkPacket, type Packet, type Walked, type WalkOptions } from './packet-walk.ts';
import type { ProxyPort } from './service-map.ts';
import { proxyModes, type ProxyMode } from './service-rules.ts';
import {
  balanced,
  endpoint,
  inFamily,
  limited,
  listenerPorts,
  listeningTableIn,
  local,
  localPolicy,
  nodePort,
  remote,
  servedAlone,
  tableIn,
  terminating,
} from './services.fixture.ts';
import type { TableOptions } from './table-layout.ts';
import { planListeners } from './userspace/redirect.ts';

const sources = {
  pod: '10.244.0.9',
  'pod of another node': '10.244.1.9',
  'the pod itself': '10.244.0.5',
  outside: '192.0.2.9',
  node: '192.0.2.1',
  'far away': '198.51.100.9',
  'the VIP': '203.0.113.80',
  'a forged loopback': '127.0.0.5',
};

interface Walk {
  readonly mode: ProxyMode;
  readonly family: 'ip' | 'ip6';
  readonly spec: ServiceSpec;
  readonly endpoints: readonly Endpoint[];
  readonly from: keyof typeof sources;
  /** IPv4 address and port, which stand for those of the family. */
  readonly to: string;
  readonly protocol?: Packet['protocol'];
  /** Other addresses of the node. */
  readonly nodeIps?: readonly string[];
  readonly more?: Partial<TableOptions>;
}

/** What becomes of the packet, in words. */
function walk({ mode, family, spec, endpoints, from, to, protocol = 6, ...rest }: Walk): string {
  const { nodeIps = [], more = {} } = rest;
  const [target = '', port = ''] = to.split(':');
  const given = inFamily(family, { source: sources[from], target, nodeIps: ['192.0.2.1', ...nodeIps] });
  const options: WalkOptions = { from: from === 'node' ? 'node' : 'interface', nodeIps: given.nodeIps };
  const packet = { ...given, protocol, port: Number(port) };
  switch (mode) {
    case 'nftables':
      return describeWalk(walkPacket(tableIn(family, spec, endpoints, more), packet, options));
    case 'userspace':
      return describeWalk(
        throughListeners(walkPacket(listeningTableIn(family, spec, endpoints, more), packet, options), {
          ports: servedAlone(family, spec, endpoints).ports,
          host: given.nodeIps[0] ?? '',
        }),
      );
    case 'iptables': {
      const alone = servedAlone(family, spec, endpoints, more);
      const layout = renderIptablesLayout(alone.options);
      const contribution = renderIptables(alone.ports, alone.options);
      return describeWalk(walkIptables(layout, [contribution], { packet, options }));
    }
    default:
      return unreachable(mode);
  }
}

/** Whom a listener forwards to. What it forwards has the node's address, and is what the words are about. */
function throughListeners(
  walked: Walked,
  { ports, host }: { readonly ports: readonly ProxyPort[]; readonly host: string },
): Walked {
  const [target = ''] = walked.targets;
  const [id] = Object.entries(listenerPorts).find(([, port]) => target === `${host}:${port}`) ?? [];
  const listener = planListeners(ports).find((each) => each.id === id);
  if (listener === undefined) return walked;
  return { ...walked, targets: listener.backends.map(({ ip, port }) => `${ip}:${port}`) };
}

const hinted = (ip: string, node: string, zone: string): Endpoint =>
  endpoint(ip, { hints: { forNodes: [{ name: node }], forZones: [{ name: zone }] } });
const onNode = hinted('10.244.1.7', 'node-1', 'zone-a');
const inZone = hinted('10.244.1.8', 'node-2', 'zone-a');
const elsewhere = hinted('10.244.1.9', 'node-3', 'zone-b');

const viaNode = "10.244.0.5:8080 with the node's address";
const both = 'one of 10.244.0.5:8080, 10.244.1.5:8080';

const cases = proxyModes.flatMap((mode) => (['ip', 'ip6'] as const).map((family) => ({ mode, family })));

describe.each(cases)('packets of $family by $mode', ({ mode, family }) => {
  test.each<[string, ServiceSpec, readonly Endpoint[], keyof typeof sources, string, string]>([
    ['ClusterIP', {}, [local, remote], 'pod', '10.96.0.80:80', both],
    ['ClusterIP', {}, [local, remote], 'node', '10.96.0.80:80', both],
    ['ClusterIP', {}, [local], 'outside', '10.96.0.80:80', "10.244.0.5:8080 with the node's address"],
    [
      'ClusterIP, hairpin',
      {},
      [local],
      'the pod itself',
      '10.96.0.80:80',
      "10.244.0.5:8080 with the node's address",
    ],
    ['another port', {}, [local], 'pod', '10.96.0.80:81', 'reject'],
    ['another port', {}, [local], 'node', '10.96.0.80:81', 'reject'],
    ['no endpoints', {}, [], 'pod', '10.96.0.80:80', 'reject'],
    ['no endpoints', {}, [], 'node', '10.96.0.80:80', 'reject'],
    [
      'none ready',
      {},
      [endpoint('10.244.0.5', { conditions: { ready: false } })],
      'pod',
      '10.96.0.80:80',
      'reject',
    ],
    [
      'all terminating',
      {},
      [endpoint('10.244.0.5', { conditions: terminating })],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    [
      'some terminating',
      {},
      [local, endpoint('10.244.1.5', { conditions: terminating })],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    [
      'internal Local',
      { internalTrafficPolicy: 'Local' },
      [local, remote],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    [
      'internal Local, none here',
      { internalTrafficPolicy: 'Local' },
      [remote],
      'pod',
      '10.96.0.80:80',
      'drop',
    ],
    ['affinity', { sessionAffinity: 'ClientIP' }, [local, remote], 'pod', '10.96.0.80:80', both],
    ['NodePort', nodePort, [local, remote], 'outside', '192.0.2.1:30080', `${both} with the node's address`],
    ['NodePort', nodePort, [local, remote], 'pod', '192.0.2.1:30080', `${both} with the node's address`],
    [
      "NodePort, a pod of the backend's node",
      { ...nodePort, sessionAffinity: 'ClientIP' },
      [remote],
      'pod of another node',
      '192.0.2.1:30080',
      "10.244.1.5:8080 with the node's address",
    ],
    ['NodePort', nodePort, [local, remote], 'node', '192.0.2.1:30080', both],
    ['NodePort of another host', nodePort, [local], 'pod', '198.51.100.7:30080', '198.51.100.7:30080'],
    ['NodePort, no endpoints', nodePort, [], 'outside', '192.0.2.1:30080', 'reject'],
    ['NodePort Local', localPolicy, [local, remote], 'outside', '192.0.2.1:30080', '10.244.0.5:8080'],
    ...(['pod', 'pod of another node'] as const).flatMap(
      (from): [string, ServiceSpec, readonly Endpoint[], keyof typeof sources, string, string][] => [
        ['NodePort Local', localPolicy, [local, remote], from, '192.0.2.1:30080', '10.244.0.5:8080'],
        [
          'NodePort Local, none here',
          localPolicy,
          [remote],
          from,
          '192.0.2.1:30080',
          "10.244.1.5:8080 with the node's address",
        ],
      ],
    ),
    ['NodePort Local', localPolicy, [local, remote], 'node', '192.0.2.1:30080', both],
    ['NodePort Local, none here', localPolicy, [remote], 'outside', '192.0.2.1:30080', 'drop'],
    [
      'NodePort Local, last one terminating',
      localPolicy,
      [remote, endpoint('10.244.0.5', { conditions: terminating })],
      'outside',
      '192.0.2.1:30080',
      '10.244.0.5:8080',
    ],
    [
      'NodePort with affinity',
      { ...nodePort, sessionAffinity: 'ClientIP' },
      [local, remote],
      'outside',
      '192.0.2.1:30080',
      `${both} with the node's address`,
    ],
    [
      'external IP',
      { externalIPs: ['203.0.113.5'] },
      [local, remote],
      'outside',
      '203.0.113.5:80',
      `${both} with the node's address`,
    ],
    [
      'external IP Local',
      { externalIPs: ['203.0.113.5'], externalTrafficPolicy: 'Local' },
      [local, remote],
      'outside',
      '203.0.113.5:80',
      '10.244.0.5:8080',
    ],
    ['load balancer', balanced, [local], 'outside', '203.0.113.80:80', viaNode],
    [
      'load balancer Local',
      { ...balanced, externalTrafficPolicy: 'Local' },
      [local, remote],
      'outside',
      '203.0.113.80:80',
      '10.244.0.5:8080',
    ],
    // As if they asked the backends themselves (kubernetes#131765).
    ...(['pod', 'node'] as const).flatMap((from) =>
      ['203.0.113.80:80', '203.0.113.5:80', '192.0.2.1:30080'].map(
        (to): [string, ServiceSpec, readonly Endpoint[], keyof typeof sources, string, string] => [
          'load balancer Local, none here',
          { ...localPolicy, ...balanced, externalIPs: ['203.0.113.5'] },
          [remote],
          from,
          to,
          from === 'pod' && to.endsWith(':30080')
            ? "10.244.1.5:8080 with the node's address"
            : '10.244.1.5:8080',
        ],
      ),
    ),
    [
      'load balancer Local, none here',
      { ...localPolicy, ...balanced },
      [remote],
      'outside',
      '203.0.113.80:80',
      'drop',
    ],
    ['hints for the node, and for its zone', {}, [onNode, inZone], 'pod', '10.96.0.80:80', '10.244.1.7:8080'],
    ['hints for the zone', {}, [elsewhere, inZone], 'pod', '10.96.0.80:80', '10.244.1.8:8080'],
    ['hints for another zone', {}, [elsewhere], 'pod', '10.96.0.80:80', '10.244.1.9:8080'],
    [
      'hints do not count under internalTrafficPolicy Local',
      { internalTrafficPolicy: 'Local' },
      [local, onNode],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    ['load balancer of mode Proxy', limited, [local], 'far away', '203.0.113.81:80', '203.0.113.81:80'],
    ['source in a range', limited, [local], 'outside', '203.0.113.80:80', viaNode],
    ['source in a range', limited, [local], 'pod', '203.0.113.80:80', '10.244.0.5:8080'],
    ['source in no range', limited, [local], 'far away', '203.0.113.80:80', 'drop'],
    ['source in no range', limited, [local], 'pod of another node', '203.0.113.80:80', 'drop'],
    ['source in no range, no endpoints', limited, [], 'far away', '203.0.113.80:80', 'drop'],
    ['source in a range, no endpoints', limited, [], 'outside', '203.0.113.80:80', 'reject'],
    ['node in a range', limited, [local], 'node', '203.0.113.80:80', '10.244.0.5:8080'],
    ['node in a range, by the address', limited, [local], 'the VIP', '203.0.113.80:80', viaNode],
    [
      'node in no range',
      { ...balanced, loadBalancerSourceRanges: ['10.0.0.0/8'] },
      [local],
      'node',
      '203.0.113.80:80',
      'drop',
    ],
    [
      'node in no range, by the address',
      { ...balanced, loadBalancerSourceRanges: ['10.0.0.0/8'] },
      [local],
      'the VIP',
      '203.0.113.80:80',
      'drop',
    ],
    ['ranges, by ClusterIP', limited, [local], 'pod of another node', '10.96.0.80:80', '10.244.0.5:8080'],
    [
      'ranges, by external IP',
      { ...limited, externalIPs: ['203.0.113.5'] },
      [local],
      'far away',
      '203.0.113.5:80',
      viaNode,
    ],
    [
      'ranges, by node port',
      { ...limited, ports: nodePort.ports },
      [local],
      'far away',
      '192.0.2.1:30080',
      viaNode,
    ],
    [
      'range of all',
      { ...balanced, loadBalancerSourceRanges: ['10.0.0.0/8', '0.0.0.0/0'] },
      [local],
      'far away',
      '203.0.113.80:80',
      viaNode,
    ],
    [
      'ranges of the other family',
      { ...balanced, loadBalancerSourceRanges: ['fd00::/8'] },
      [local],
      'far away',
      '203.0.113.80:80',
      viaNode,
    ],
    [
      'range with host bits',
      { ...balanced, loadBalancerSourceRanges: ['192.0.2.77/24'] },
      [local],
      'outside',
      '203.0.113.80:80',
      viaNode,
    ],
    ['not a Service', {}, [local], 'pod', '198.51.100.7:80', '198.51.100.7:80'],
  ])('%s, from %4$s to %5$s', (_name, spec, endpoints, from, to, want) => {
    const seen = walk({ mode, family, spec, endpoints, from, to });
    expect(withoutSource(mode, seen)).toBe(withoutSource(mode, inFamily(family, want)));
  });

  test('SCTP as TCP', () => {
    const spec = { ports: [{ port: 80, protocol: 'SCTP' }] } as const;
    const asked = { mode, family, spec, from: 'pod', to: '10.96.0.80:80', protocol: 132 } as const;
    expect(walk({ ...asked, endpoints: [local, remote] })).toBe(inFamily(family, both));
    expect(walk({ ...asked, endpoints: [] })).toBe('reject');
  });

  test('another protocol of the same port is another Service', () => {
    const asked = { mode, family, spec: {}, endpoints: [local] } as const;
    expect(walk({ ...asked, from: 'pod', to: '10.96.0.80:80', protocol: 17 })).toBe('reject');
  });
});

describe.each(cases)('what KubeProxyConfiguration says of $family by $mode', ({ mode, family }) => {
  const asked = { mode, family, endpoints: [local], nodeIps: ['198.51.100.1', '198.51.100.2'] };
  const words = (one: Pick<Walk, 'spec' | 'from' | 'to' | 'more'>): string => walk({ ...asked, ...one });

  test('masqueradeAll: whoever sends to a Service comes with the address of the node', () => {
    const to = '10.96.0.80:80';
    // To a listener on the node itself nothing leaves.
    const want = withoutSource(mode, inFamily(family, viaNode));
    const seen = (['pod', 'pod of another node', 'outside'] as const).map((from) =>
      withoutSource(mode, words({ spec: {}, from, to, more: { masqueradesAll: true } })),
    );
    expect(seen).toEqual([want, want, want]);
    expect(words({ spec: {}, from: 'pod', to })).toBe(inFamily(family, '10.244.0.5:8080'));
  });

  test.each<[string, readonly string[], readonly string[]]>([
    ['all addresses', [], ['192.0.2.1', '198.51.100.1', '198.51.100.2']],
    ['one of them', ['192.0.2.1/32'], ['192.0.2.1']],
    ['networks', ['198.51.100.1/32', '192.0.2.0/24'], ['192.0.2.1', '198.51.100.1']],
    ['those of the other family', ['fd00::/8'], ['192.0.2.1', '198.51.100.1', '198.51.100.2']],
  ])('nodePortAddresses: %s', (_name, nodePortCidrs, want) => {
    const more = { nodePortCidrs };
    const all = ['192.0.2.1', '198.51.100.1', '198.51.100.2'];
    const served = (spec: ServiceSpec, from: Walk['from']): readonly string[] =>
      all.filter((ip) => {
        const said = words({ spec, from, to: `${ip}:30080`, more });
        return said.startsWith(inFamily(family, '10.244.0.5:8080'));
      });
    for (const from of ['outside', 'pod', 'node'] as const) expect(served(nodePort, from)).toEqual(want);
    expect(served(localPolicy, 'outside')).toEqual(want);
    // Without endpoints they are refused there alone.
    const refused = all.filter(
      (ip) =>
        walk({ ...asked, endpoints: [], spec: nodePort, from: 'outside', to: `${ip}:30080`, more }) ===
        'reject',
    );
    expect(refused).toEqual(want);
  });
});

/** What a listener forwards has the node's address, whatever the rules did before. */
function withoutSource(mode: ProxyMode, words: string): string {
  return mode === 'userspace' ? words.replace(/ with the node's address$/, '') : words;
}

// IPv6 has no network of it, and the kernel takes no packet of ::1 from the wire.
describe.each(proxyModes)('packets of IPv4 loopback by %s', (mode) => {
  test.each<[string, keyof typeof sources, string, string]>([
    ['by the wire', 'pod', '127.0.0.1:80', 'drop'],
    ['forged', 'a forged loopback', '10.96.0.80:80', 'drop'],
    ["the node's own", 'node', '127.0.0.1:80', '127.0.0.1:80'],
  ])('%s', (_name, from, to, want) => {
    expect(walk({ mode, family: 'ip', spec: {}, endpoints: [local], from, to })).toBe(want);
  });
});

test.each([
  ['what a rule led there', 'pod', '10.96.0.80:80', '192.0.2.1:40001'],
  ['whoever comes by itself', 'outside', '192.0.2.1:40001', 'drop'],
  ['the port of another protocol', 'outside', '192.0.2.1:40005', '192.0.2.1:40005'],
] as const)('a listener of the proxy has %s', (_name, from, to, want) => {
  const [target = '', port] = to.split(':');
  const packet = { source: sources[from], target, protocol: 6, port: Number(port) } as const;
  const table = listeningTableIn('ip', {}, [local, remote]);
  expect(describeWalk(walkPacket(table, packet, { from: 'interface', nodeIps: ['192.0.2.1'] }))).toBe(want);
});
