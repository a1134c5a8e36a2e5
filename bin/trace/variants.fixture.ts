/** The same small cluster with another family, another proxy mode, over another fabric: what is wrong in it has the same name. */
import { renderNodeFabric, type NodeFabric } from '#agent/network/fabric/node-fabric.ts';
import { neighbourOf, tunnelDevices } from '#agent/network/fabric/tunnel.ts';
import type { NetworkFacts } from '#agent/network/facts/network-facts.ts';
import { proxyModes, type ProxyMode } from '#agent/proxy/service-rules.ts';
import { fabricKinds, type FabricKind } from '#agent/network/fabric/settings.ts';
import { canonicalIpText } from '#base/ip.ts';
import type { Observed } from './observed.ts';
import type { Row } from './planted.fixture.ts';
import type { World } from './world.fixture.ts';

/** What is asked of a world. */
export type Asked = Omit<Row, 'want' | 'arrives' | 'name'>;

export const families = [4, 6] as const;
export const modes: readonly ProxyMode[] = proxyModes;
export const fabrics: readonly FabricKind[] = fabricKinds;

/** IPv4's addresses in IPv6, and the other way round where a row has one of those. */
const swaps: readonly (readonly [RegExp, (...groups: string[]) => string])[] = [
  [/^10\.244\.(\d+)\.0\/24/, (node) => `fd00:244:0:${node}::/64`],
  [/^10\.244\.(\d+)\.0(?!\d)/, (node) => `fd00:244:0:${node}::`],
  [/^10\.244\.(\d+)\.(\d+)/, (node, host) => `fd00:244:0:${node}::${host}`],
  [/^10\.96\.0\.(\d+)/, (host) => `fd00:96::${host}`],
  [/^192\.0\.2\.0\/24/, () => '2001:db8::/64'],
  [/^192\.0\.2\.(\d+)/, (host) => `2001:db8::${host}`],
  [/^198\.51\.100\.0\/24/, () => '2001:db8:51::/64'],
  [/^198\.51\.100\.(\d+)/, (host) => `2001:db8:51::${host}`],
  [/^203\.0\.113\.(\d+)/, (host) => `2001:db8:113::${host}`],
  [/^0\.0\.0\.0/, () => '::'],
  [/^127\.0\.0\.1/, () => '::1'],
  [/^fd00:96::(\d+)/, (host) => `10.96.0.${host}`],
  [/^fd00::3/, () => '192.0.2.77'],
  [/^\bIPv4\b/, () => 'IPv6'],
  [/^\bIPv6\b/, () => 'IPv4'],
  [/^\bip\b$/, () => 'ip6'],
];

function swap(text: string): string {
  for (const [pattern, write] of swaps) {
    const found = pattern.exec(text);
    if (found === null) continue;
    const swapped = `${write(...found.slice(1))}${text.slice(found[0].length)}`;
    const [address = '', ...prefix] = swapped.split('/');
    return [canonicalIpText(address) ?? address, ...prefix].join('/');
  }
  return text;
}

function swapAll(value: unknown): unknown {
  if (typeof value === 'string') return swap(value);
  if (Array.isArray(value)) return value.map(swapAll);
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [key, swapAll(one)]));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, swapAll(one)]));
}

/** The row in a cluster of the family; of what it says of addresses nothing is asked. */
export function inFamily<T extends Asked>(family: 4 | 6, row: T): T {
  if (family === 4) return row;
  const { world, to = 'web:80', from = 'client' } = row;
  const { tiers, ...others } = world; // They are parsed, and name no addresses.
  const [host = '', port] = to.startsWith('[') ? to.slice(1).split(/\]:/) : to.split(':');
  const target = swap(host);
  const facts = [...world.facts].map(([name, one]): [string, typeof one] => {
    if ('problem' in one) return [name, one];
    const { 4: four, 6: six } = one.isForwarding;
    return [name, { ...(swapAll(one) as NetworkFacts), isForwarding: { 4: six, 6: four } }];
  });
  const swapped = swapAll({ ...others, facts: new Map() }) as Omit<Observed, 'tiers'>;
  const there = target.includes(':') ? `[${target}]` : target;
  return {
    ...row,
    world: { ...swapped, tiers, facts: new Map(facts) },
    to: port === undefined ? there : `${there}:${port}`,
    from: from.split('/').map(swap).join('/'),
  };
}

/** Every node has the mode. */
export function inMode(proxyMode: ProxyMode, world: World): World {
  return mapFacts(world, (facts) => ({
    ...facts,
    proxyMode,
    tables: facts.tables.map((table) => ({ ...table, name: proxyMode === 'iptables' ? 'nat' : table.name })),
  }));
}

function mapFacts(world: World, change: (facts: NetworkFacts, name: string) => NetworkFacts): World {
  const facts = [...world.facts].map(
    ([name, one]) => [name, 'problem' in one ? one : change(one, name)] as const,
  );
  return { ...world, facts: new Map(facts) };
}

export const keys: Readonly<Record<string, string>> = {
  n1: `${'A'.repeat(42)}E=`,
  n2: `${'B'.repeat(42)}E=`,
};
const macs: Readonly<Record<string, string>> = { n1: '0a:00:00:00:00:11', n2: '0a:00:00:00:00:12' };
const ports: Readonly<Record<FabricKind, number>> = {
  'host-gw': 0,
  vxlan: 8472,
  udp: 8285,
  wireguard: 51_820,
};
/** IFLA_INFO_KIND */
const linkKinds = { vxlan: 'vxlan', udp: 'tun', wireguard: 'wireguard' } as const;

export function fabricOf(kind: FabricKind, name: string): NodeFabric {
  const [mac = '', publicKey = ''] = [macs[name], keys[name]];
  return {
    ...{ kind, port: ports[kind], vni: 1 },
    ...(kind === 'vxlan' ? { mac } : {}),
    ...(kind === 'wireguard' ? { publicKey } : {}),
  };
}

/** The nodes reach each other's pods by it; routes that a row has wrong stay as they are. */
export function overFabric(kind: FabricKind, world: World): World {
  const isTunnelled = [...world.facts.values()].some((one) => 'tunnels' in one && one.tunnels.length > 0);
  if (kind === 'host-gw' || isTunnelled) return world;
  const nodes = world.nodes.map((node) => ({
    ...node,
    metadata: {
      ...node.metadata,
      annotations: { 'podwright/fabric': renderNodeFabric(fabricOf(kind, node.metadata?.name ?? '')) },
    },
  }));
  return mapFacts({ ...world, nodes }, (facts, name) => {
    const other = world.nodes.find(({ metadata }) => metadata?.name !== name);
    const remote = other?.status?.addresses?.[0]?.address ?? '';
    return withDevice(kind, facts, {
      name: other?.metadata?.name ?? '',
      remote,
      destination: other?.spec?.podCIDR ?? '',
    });
  });
}

interface Other {
  readonly name: string;
  readonly remote: string;
  readonly destination: string;
}

function withDevice(
  kind: Exclude<FabricKind, 'host-gw'>,
  facts: NetworkFacts,
  { name, remote, destination }: Other,
): NetworkFacts {
  const link = tunnelDevices[kind];
  const mac = macs[name] ?? '';
  const path = { kind: 'vxlan', node: name, destination, remote, mac } as const;
  const gateway = kind === 'vxlan' ? neighbourOf(path) : undefined;
  const peer = {
    publicKey: keys[name] ?? '',
    endpoint: { ip: remote, port: ports.wireguard },
    allowedIps: [destination],
  };
  const outer = facts.links.map((one) =>
    // A link that carries a tunnel is wider, or pods' packets are smaller.
    one.name === 'eth0' && one.mtu === 1500 ? { ...one, mtu: 1600 } : one,
  );
  return {
    ...facts,
    links: [...outer, { name: link, mtu: 1500, isUp: true, kind: linkKinds[kind] }],
    routes: facts.routes.map((route) =>
      route.gateway === remote && route.destination === destination ? { destination, gateway, link } : route,
    ),
    listeners: [
      ...facts.listeners,
      ...(kind === 'udp' ? [{ protocol: 'UDP', address: '0.0.0.0', port: ports.udp } as const] : []),
    ],
    tunnels: [
      {
        link,
        neighbours: gateway === undefined ? [] : [{ address: gateway, mac }],
        forwarding: kind === 'vxlan' ? [{ mac, remote }] : [],
        ...(kind === 'wireguard' ? { peers: [peer] } : {}),
      },
    ],
  };
}
