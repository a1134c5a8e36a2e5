import { describe, expect, test } from 'vitest';
import type { Endpoint, ServiceSpec } from '#api/generated/objects.ts';
import type { NftTable } from '#native/nft/nft.ts';
import { describeWalk, walkPacket, type Packet, type WalkOptions } from './packet-walk.ts';
import {
  balanced,
  endpoint,
  inFamily,
  limited,
  local,
  localPolicy,
  nodePort,
  remote,
  tableIn,
  terminating,
} from './services.fixture.ts';

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
  readonly family: 'ip' | 'ip6';
  readonly from: keyof typeof sources;
  /** IPv4 address and port, which stand for those of the family. */
  readonly to: string;
  readonly protocol?: Packet['protocol'];
}

/** What becomes of the packet, in words. */
function walk(table: NftTable, { family, from, to, protocol = 6 }: Walk): string {
  const [target = '', port = ''] = to.split(':');
  const given = inFamily(family, { source: sources[from], target, nodeIps: ['192.0.2.1'] });
  const options: WalkOptions = { from: from === 'node' ? 'node' : 'interface', nodeIps: given.nodeIps };
  return describeWalk(walkPacket(table, { ...given, protocol, port: Number(port) }, options));
}

const viaNode = "10.244.0.5:8080 with the node's address";
const both = 'one of 10.244.0.5:8080, 10.244.1.5:8080';

describe.each(['ip', 'ip6'] as const)('packets of %s', (family) => {
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
    ['NodePort Local', localPolicy, [local, remote], 'pod', '192.0.2.1:30080', both],
    ['NodePort Local, none here', localPolicy, [remote], 'outside', '192.0.2.1:30080', 'drop'],
    ['NodePort Local, none here', localPolicy, [remote], 'pod', '192.0.2.1:30080', '10.244.1.5:8080'],
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
    expect(walk(tableIn(family, spec, endpoints), { family, from, to })).toBe(inFamily(family, want));
  });

  test('SCTP as TCP', () => {
    const spec = { ports: [{ port: 80, protocol: 'SCTP' }] } as const;
    const asked = { family, from: 'pod', to: '10.96.0.80:80', protocol: 132 } as const;
    expect(walk(tableIn(family, spec, [local, remote]), asked)).toBe(inFamily(family, both));
    expect(walk(tableIn(family, spec, []), asked)).toBe('reject');
  });

  test('another protocol of the same port is another Service', () => {
    const asked = { family, from: 'pod', to: '10.96.0.80:80', protocol: 17 } as const;
    expect(walk(tableIn(family, {}, [local]), asked)).toBe('reject');
  });
});

// IPv6 has no network of it, and the kernel takes no packet of ::1 from the wire.
test.each<[string, keyof typeof sources, string, string]>([
  ['by the wire', 'pod', '127.0.0.1:80', 'drop'],
  ['forged', 'a forged loopback', '10.96.0.80:80', 'drop'],
  ["the node's own", 'node', '127.0.0.1:80', '127.0.0.1:80'],
])('packets of IPv4 loopback, %s', (_name, from, to, want) => {
  expect(walk(tableIn('ip', {}, [local]), { family: 'ip', from, to })).toBe(want);
});
