import { describe, expect, it } from 'vitest';
import { renderNodeFabric, type NodeFabric } from '#agent/network/fabric/node-fabric.ts';
import type { TunnelKind } from '#agent/network/fabric/paths.ts';
import type { FabricKind } from '#agent/network/fabric/settings.ts';
import { tunnelDevices } from '#agent/network/fabric/tunnel.ts';
import type { NetworkFacts } from '#agent/network/facts/network-facts.ts';
import type { WireGuardPeer } from '#native/wireguard/wireguard.ts';
import { readQuestion } from './command.ts';
import type { Code, Trace } from './observed.ts';
import { knownTunnel, n1Routes, planted, withTunnel, type Row } from './planted.fixture.ts';
import { renderTrace } from './render-trace.ts';
import { tracePacket } from './trace-packet.ts';
import {
  fabricOf,
  fabrics,
  families,
  inFamily,
  inMode,
  keys,
  modes,
  overFabric,
  type Asked,
} from './variants.fixture.ts';
import { healthy, policyOf, withFacts, withService, type World } from './world.fixture.ts';

const found = (trace: Trace): readonly Code[] => [
  ...new Set(
    [...trace.hops, ...trace.ways.flatMap(({ hops }) => hops)].flatMap(({ findings }) =>
      findings.map(({ code }) => code),
    ),
  ),
];

function traceRow({ world, from = 'client', to = 'web:80', protocol = 'tcp' }: Asked): Trace {
  return tracePacket(readQuestion({ from, to }, { namespace: 'default', protocol }, world), world);
}

describe('tracePacket()', () => {
  it.each([
    ['client', 'web:80'],
    ['client', 'web.default.svc.cluster.local'],
    ['client', 'svc/web:80'],
    ['client', '10.96.0.20:80'],
    ['client', 'web-2:8080'],
    ['client', 'pod/web-1:http'],
    ['client', '10.244.1.3:8080'],
    ['node/n2', 'web:80'],
    ['node/n1', 'node/n1:10250'],
    ['client', 'kube-dns.kube-system:53/udp'],
    ['client', 'kubernetes:443'],
  ])('%s to %s arrives where nothing is wrong', (from, asked) => {
    const [to = '', protocol = 'tcp'] = asked.split(/\/(?=udp$)/);
    const trace = traceRow({ world: healthy, from, to, protocol });
    expect({ found: found(trace), arrives: trace.arrives }).toEqual({ found: [], arrives: 'yes' });
  });

  it.each(planted)('names $name: $want', ({ want, arrives, says, ...row }) => {
    const trace = traceRow(row);
    expect({ found: found(trace), arrives: trace.arrives }).toEqual({ found: want, arrives });
    if (says !== undefined) expect(renderTrace(trace)).toMatch(says);
  });

  const variants = families.flatMap((family) =>
    modes.flatMap((mode) => fabrics.map((fabric) => ({ family, mode, fabric }))),
  );

  it.each(variants)(
    'names all of them in IPv$family, mode $mode, over $fabric',
    ({ family, mode, fabric }) => {
      const vary = (row: Row): Asked => {
        const own = inFamily(family, row);
        return { ...own, world: inMode(mode, overFabric(fabric, own.world)) };
      };
      const seen = planted.map((row) => {
        const trace = traceRow(vary(row));
        return [row.name, [...found(trace)].toSorted(), trace.arrives];
      });
      const wanted = planted.map((row) => {
        const { want, arrives } = { ...row, ...(mode === 'userspace' ? row.userspace : {}) };
        return [row.name, [...want].toSorted(), arrives];
      });
      expect(seen).toEqual(wanted);
    },
  );

  it('finds its way through a tunnel', () => {
    const trace = traceRow({ world: withTunnel(knownTunnel) });
    expect({ found: found(trace), arrives: trace.arrives }).toEqual({ found: [], arrives: 'yes' });
  });

  const device = (kind: TunnelKind, isUp: boolean): Partial<NetworkFacts> => ({
    links: [
      { name: 'eth0', mtu: 1600, isUp: true },
      { name: 'cni0', mtu: 1500, isUp: true },
      ...(isUp ? [] : [{ name: tunnelDevices[kind], mtu: 1500, isUp, kind: kind === 'udp' ? 'tun' : kind }]),
    ],
  });
  const wireguard = (peers: readonly WireGuardPeer[]): World =>
    withFacts(
      'n1',
      { tunnels: [{ link: 'podwright-wg', neighbours: [], forwarding: [], peers }] },
      overFabric('wireguard', healthy),
    );
  const peer = {
    publicKey: keys['n2'] ?? '',
    endpoint: { ip: '192.0.2.12', port: 1 },
    allowedIps: ['10.244.1.0/24'],
  };
  const saying = (kind: FabricKind, fabric: Partial<NodeFabric>): World => {
    const { nodes, ...world } = overFabric(kind, n1Routes([]));
    const text = renderNodeFabric({ ...fabricOf(kind, 'n2'), ...fabric });
    return {
      ...world,
      nodes: nodes.map((node) =>
        node.metadata?.name === 'n1'
          ? node
          : { ...node, metadata: { ...node.metadata, annotations: { 'podwright/fabric': text } } },
      ),
    };
  };
  const closed = { listeners: [{ protocol: 'UDP', address: '10.96.0.10', port: 53 }] } as const;
  const tunnels: readonly (readonly [name: string, world: World, want: readonly Code[], says: RegExp])[] = [
    ['no peer', wireguard([]), ['peer-missing'], /no peer with the key of node n2/],
    [
      'a peer with other addresses',
      wireguard([{ ...peer, allowedIps: [] }]),
      ['peer-missing'],
      /allowed addresses are none/,
    ],
    [
      'a peer that is nowhere',
      wireguard([{ ...peer, endpoint: undefined }]),
      ['peer-missing'],
      /where node n2 is/,
    ],
    [
      'no relay here',
      withFacts('n1', closed, overFabric('udp', healthy)),
      ['tunnel-closed'],
      /node n1 has UDP port 8285/,
    ],
    [
      'no relay there',
      withFacts('n2', closed, overFabric('udp', healthy)),
      ['tunnel-closed'],
      /node n2 has UDP port 8285/,
    ],
    [
      'no device there',
      withFacts('n2', { ...device('vxlan', true), routes: [] }, overFabric('vxlan', healthy)),
      ['tunnel-closed', 'route-missing'],
      /no vxlan device/,
    ],
    [
      'a device down there',
      withFacts('n2', device('wireguard', false), overFabric('wireguard', healthy)),
      ['link-down'],
      /podwright-wg of node n2/,
    ],
    [
      'another network of vxlan',
      saying('vxlan', { vni: 7 }),
      ['fabric-mismatch'],
      /is in vxlan network 7 at port 8472, this node in 1/,
    ],
    [
      'no key',
      saying('wireguard', { kind: 'wireguard', publicKey: 'none' }),
      ['fabric-mismatch'],
      /annotation cannot be read/,
    ],
    [
      'no way back',
      withFacts('n2', { routes: [] }, healthy),
      ['route-missing'],
      /back from node n2 to node n1/,
    ],
  ];

  it.each(tunnels)('names what is wrong between nodes: %s', (_, world, want, says) => {
    const trace = traceRow({ world });
    expect({ found: found(trace), arrives: trace.arrives }).toEqual({
      found: want,
      arrives: 'some',
    });
    expect(renderTrace(trace)).toMatch(says);
  });

  it('says that policies see a node, where one sends for a client outside', () => {
    const ports = [{ port: 80, targetPort: 8080, nodePort: 30_080 }];
    const world = {
      ...withService({ type: 'NodePort', ports }),
      networkPolicies: [
        policyOf('outside', {
          podSelector: { matchLabels: { app: 'web' } },
          ingress: [{ from: [{ ipBlock: { cidr: '198.51.100.0/24' } }] }],
        }),
      ],
    };
    const trace = traceRow({ world, from: 'outside/198.51.100.9', to: 'node/n1:30080' });
    expect({ found: found(trace), arrives: trace.arrives }).toEqual({
      found: ['policy-sees-node'],
      arrives: 'some',
    });
    expect(renderTrace(trace)).toContain('policies see 192.0.2.11, which sends it for 198.51.100.9');
  });

  it('has each planted that it knows', () => {
    expect(new Set(planted.flatMap(({ want }) => want)).size).toBe(50);
  });

  it('tells people what it found', async () => {
    const texts = planted.map((row) => `# ${row.name}\n${renderTrace(traceRow(row))}`);
    await expect(
      [`# all is well\n${renderTrace(traceRow({ world: healthy }))}`, ...texts].join('\n'),
    ).toMatchFileSnapshot('golden/traces.txt');
  });
});
