import type { Node } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import {
  compareIps,
  formatCidr,
  formatIp,
  knownCidr,
  networkOf,
  parseCidr,
  parseIp,
  type IpFamily,
  cidrContains,
  cidrsOverlap,
  hostCidr,
  ipv4Of,
} from '#base/ip.ts';
import type { NetOp, NetworkState } from '#native/netlink/netlink.ts';
import type { NftElement, NftExpr, NftTable, TableRef } from '#native/nft/nft.ts';
import { nftFamilies, ofFamily, servedCidrsOf, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import { nodeFabricOf } from './node-fabric.ts';

/** Marks routes as ours (RTA protocol), so that repair removes no route of anybody else. */
export const podwrightRouteProtocol = 112;

/** A route to another node's pods: by way of its address on the link, or by a tunnel's device. */
export interface FabricRoute {
  readonly destination: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly isOnLink?: boolean;
}

/** host-gw: each other node's pod addresses by way of its InternalIP of the same family, ordered by destination. */
export function computeRoutes(nodes: readonly Node[], ownName: string): readonly FabricRoute[] {
  const others = nodes.filter((node) => node.metadata?.name !== ownName);
  return others
    .flatMap((node) =>
      podCidrsOf(node).flatMap((text): readonly FabricRoute[] => {
        const cidr = parseCidr(text);
        const gateway = internalIpsOf(node)
          .map(parseIp)
          .find((ip) => ip !== undefined && ip.family === cidr?.ip.family);
        if (cidr === undefined || gateway === undefined) return [];
        // As the kernel says it: what is wanted is compared with what is there.
        return [{ destination: formatCidr(networkOf(cidr)), gateway: formatIp(gateway) }];
      }),
    )
    .toSorted((a, b) => (a.destination < b.destination ? -1 : 1));
}

/** What the kernel has of routes, and of the links that they leave by. */
type KernelRoutes = Pick<NetworkState, 'routes'> & Partial<Pick<NetworkState, 'links'>>;

/** A route of ours, as it is or should be. */
interface OwnRoute {
  readonly destination: string;
  readonly gateway?: string | undefined;
  readonly dev?: string | undefined;
}

/**
 * What makes the kernel's routes those wanted; nothing if they are. A new way to where an old one leads takes its place at once, so that
 * no packet finds none; what that leaves behind (a route of another kind, of IPv6) is seen at the next look.
 *
 * `ranges` are the pod addresses of all nodes that there are. One that a node had which is gone is refused from then on: without a route its
 * packets would leave the cluster by the default one (flannel#2245, decision 0153). That ends when any of it is a node's again, whose packets
 * it would take (rke2#11170).
 */
export function planRoutes(
  wanted: readonly FabricRoute[],
  { routes, links = [] }: KernelRoutes,
  ranges: readonly string[],
): readonly NetOp[] {
  const tunnels = new Map(
    links.filter((link) => isTunnelDevice(link.name)).map((link) => [link.index, link.name] as const),
  );
  const own = routes.filter((route) => route.protocol === podwrightRouteProtocol);
  const mine = own
    .map(({ destination, gateway, linkIndex }) => ({
      destination,
      gateway,
      dev: tunnels.get(linkIndex ?? 0),
    }))
    .filter(({ gateway, dev }) => gateway !== undefined || dev !== undefined);
  const keyOf = ({ destination, gateway, dev }: OwnRoute): string =>
    `${destination} ${gateway ?? ''} ${dev ?? ''}`;
  const wantedKeys = new Set(wanted.map(keyOf));
  const actualKeys = new Set(mine.map(keyOf));
  const missing = wanted.filter((route) => !actualKeys.has(keyOf(route)));
  const replaced = new Set(missing.map(({ destination }) => destination));
  const isGone = goneFrom(ranges);
  const refused = own.filter(({ isUnreachable }) => isUnreachable === true);
  return [
    ...mine
      .filter((route) => !wantedKeys.has(keyOf(route)) && !replaced.has(route.destination))
      .flatMap((route) => [
        ...(isGone(route.destination) ? [refuse(route.destination)] : []),
        removalOf(route),
      ]),
    ...missing.map((route): NetOp => ({ op: 'ensureRoute', ...route, protocol: podwrightRouteProtocol })),
    ...refused
      .filter(({ destination }) => !isGone(destination) && !replaced.has(destination))
      .map(({ destination }): NetOp => ({ op: 'removeRoute', destination })),
  ];
}

/** Whether a range is no node's any more, in no part. */
function goneFrom(ranges: readonly string[]): (destination: string) => boolean {
  const cidrs = ranges.flatMap((text) => parseCidr(text) ?? []);
  return (destination) => {
    const range = parseCidr(destination);
    return range !== undefined && !cidrs.some((cidr) => cidrsOverlap(cidr, range));
  };
}

/** Takes the place of a route that leads there. */
function refuse(destination: string): NetOp {
  return { op: 'ensureRoute', destination, type: 'unreachable', protocol: podwrightRouteProtocol };
}

function removalOf({ destination, gateway, dev }: OwnRoute): NetOp {
  return {
    op: 'removeRoute',
    destination,
    ...(gateway === undefined ? {} : { gateway }),
    ...(dev === undefined ? {} : { dev }),
  };
}

/** Names of devices of tunnels begin so: rules find them by it. */
export const tunnelDevicePrefix = 'podwright-';

export function isTunnelDevice(name: string): boolean {
  return name.startsWith(tunnelDevicePrefix);
}

export interface MasqueradeOptions extends ClusterNetwork {
  /** This node's pods of the family. */
  readonly podCidr: string;
  /** The nodes' link: what lives there has no route back to pods, unless it is a node. */
  readonly linkCidr: string | undefined;
  /** Whether pods may leave the cluster with the node's address. */
  readonly hasEgress: boolean;
  /** Nodes that are reached by tunnels; by default none. What passes between them and pods has no way of the pods' addresses. */
  readonly tunnelNodes?: ReadonlySet<string>;
  /** UDP, of vxlan devices over this family; undefined: there is none. */
  readonly vxlanPort?: number | undefined;
}

/** What differs between the families. */
const familyFacts = {
  4: {
    keySet: { name: 'keep-source', keyTypes: ['ipv4_addr'], interval: true },
    source: { load: 'ip saddr' },
    target: { load: 'ip daddr' },
    tunnelSet: { name: 'tunnel-nodes', keyTypes: ['ipv4_addr'] },
    /** Nobody's address behind another router. */
    kept: ['224.0.0.0/4'],
  },
  6: {
    keySet: { name: 'keep-source', keyTypes: ['ipv6_addr'], interval: true },
    source: { load: 'ip6 saddr' },
    target: { load: 'ip6 daddr' },
    tunnelSet: { name: 'tunnel-nodes', keyTypes: ['ipv6_addr'] },
    kept: ['fe80::/10', 'ff00::/8'],
  },
} as const satisfies Readonly<Record<IpFamily, unknown>>;

/**
 * Pods keep their address towards pods and nodes, which have routes back. Towards others on the nodes' link (an API server
 * that is no node) they take the node's address; towards the rest of the world only with egress. What the proxy did not translate of
 * Services' addresses goes nowhere, and is not made to look like the node's.
 *
 * Of nodes behind a tunnel only the pods are reached through it: towards the nodes themselves pods take the node's address, and what
 * is not a pod's takes the tunnel's when it goes through one. What carries vxlan's frames has the mark of what is inside, which would have it
 * translated as well (flannel#1279): connection tracking does not see it.
 *
 * Ports are chosen by chance: two pods that ask one server from the same port at once would be given the same one, and the packet that comes
 * second is dropped without a word (flannel#1001).
 */
export function renderMasquerade(options: MasqueradeOptions, nodes: readonly Node[]): NftTable {
  const { family, podCidr, clusterCidr, linkCidr, hasEgress } = options;
  const { keySet, tunnelSet, source, target } = familyFacts[family];
  const behindTunnels = tunnelAddresses(options, nodes);
  const hasTunnels = behindTunnels.length > 0;
  const fromPods: NftExpr = { expr: 'match', left: source, op: '==', right: podCidr };
  const outside: NftExpr = { expr: 'lookup', key: [target], set: keySet.name, negate: true };
  const onLink: readonly NftExpr[] =
    linkCidr === undefined ? [] : [{ expr: 'match', left: target, op: '==', right: linkCidr }];
  const isNeeded = hasEgress || linkCidr !== undefined;
  const masquerade = { expr: 'masquerade', fullyRandom: true } as const;
  const rules: readonly (readonly NftExpr[])[] = [
    ...(isNeeded ? [[fromPods, outside, ...(hasEgress ? [] : onLink), masquerade]] : []),
    ...(hasTunnels
      ? [
          [fromPods, { expr: 'lookup', key: [target], set: tunnelSet.name } as const, masquerade],
          [
            {
              expr: 'match',
              left: { load: 'meta oifname' },
              op: '==',
              right: `${tunnelDevicePrefix}*`,
            } as const,
            { expr: 'match', left: source, op: '!=', right: clusterCidr } as const,
            masquerade,
          ],
        ]
      : []),
  ];
  return {
    ...masqueradeTableOf(family),
    sets: [keySet, ...(hasTunnels ? [tunnelSet] : [])],
    chains: [
      {
        name: 'postrouting',
        hook: { type: 'nat', hook: 'postrouting', priority: 100 },
        rules: rules.map((exprs) => ({ exprs })),
      },
      ...untrackedChains(options.vxlanPort),
    ],
    elements: {
      [keySet.name]: keepElements(options, nodes),
      ...(hasTunnels ? { [tunnelSet.name]: behindTunnels.map((key) => ({ key: [key] })) } : {}),
    },
  };
}

/** Before connection tracking looks (NF_IP_PRI_RAW). */
const rawPriority = -300;

function untrackedChains(port: number | undefined): NftTable['chains'] {
  if (port === undefined) return [];
  return (['prerouting', 'output'] as const).map((hook) => ({
    name: `raw-${hook}`,
    hook: { type: 'filter', hook, priority: rawPriority },
    rules: [
      {
        exprs: [
          { expr: 'match', left: { load: 'meta l4proto' }, op: '==', right: 'udp' },
          { expr: 'match', left: { load: 'th dport' }, op: '==', right: port },
          { expr: 'notrack' },
        ],
      },
    ],
  }));
}

function tunnelAddresses(
  { family, tunnelNodes }: MasqueradeOptions,
  nodes: readonly Node[],
): readonly string[] {
  const behind = nodes.filter(({ metadata }) => tunnelNodes?.has(metadata?.name ?? '') === true);
  return [...new Set(ofFamily(behind.flatMap(internalIpsOf), family))].toSorted();
}

export function masqueradeTableOf(family: IpFamily): TableRef {
  return { family: nftFamilies[family], name: 'podwright-fabric' };
}

function keepElements(options: MasqueradeOptions, nodes: readonly Node[]): readonly NftElement[] {
  const { family, clusterCidr } = options;
  const behind = new Set(tunnelAddresses(options, nodes));
  const addresses = ofFamily(nodes.flatMap(internalIpsOf), family).filter((ip) => !behind.has(ip));
  const keys = new Set([clusterCidr, ...servedCidrsOf(options), ...familyFacts[family].kept, ...addresses]);
  return withoutCovered([...keys])
    .toSorted()
    .map((key) => ({ key: [key] }));
}

/** A set of intervals takes no two that overlap. */
function withoutCovered(texts: readonly string[]): readonly string[] {
  const cidrs = texts.map((text) => ({
    text,
    cidr: parseCidr(text) ?? hostCidr(parseIp(text) ?? ipv4Of(0)),
  }));
  return cidrs
    .filter(({ cidr }, index) =>
      cidrs.every(
        (other, at) =>
          at === index ||
          other.cidr.prefix > cidr.prefix ||
          !cidrContains(other.cidr, cidr.ip) ||
          (other.cidr.prefix === cidr.prefix && at > index),
      ),
    )
    .map(({ text }) => text);
}

/** Where the fabric's own routes go, as far as a node can say now. */
export interface ServiceRouteOptions {
  readonly networks: readonly ClusterNetwork[];
  readonly nodeIps: readonly string[];
}

/**
 * A process of the node that connects to a Service address needs a route before netfilter's output hook can translate it;
 * the node's address as source is what other nodes can answer to. IPv4's leads to lo, where what is not translated ends. Through lo
 * IPv6 has no routes but such as refuse (fib6_is_reject() of net/ipv6/route.c): its leads to the link of the node's address, and
 * what is not translated is rejected by the proxy's rules.
 */
export function planServiceRoutes(
  { networks, nodeIps }: ServiceRouteOptions,
  { links, addresses }: Pick<NetworkState, 'links' | 'addresses'>,
): readonly Extract<NetOp, { readonly op: 'ensureRoute' }>[] {
  return networks.flatMap((network) => {
    const { family } = network;
    const [source] = ofFamily(nodeIps, family);
    const own = addresses.find(({ address }) => source !== undefined && isAddressOf(address, source));
    const link = links.find(({ index }) => index === own?.linkIndex)?.name;
    const dev = family === 4 ? 'lo' : link;
    if (source === undefined || dev === undefined) return [];
    const leads = { dev, scope: 'link', source, protocol: podwrightRouteProtocol } as const;
    return servedCidrsOf(network).map((cidr) => ({
      op: 'ensureRoute' as const,
      destination: formatCidr(networkOf(knownCidr(cidr))),
      ...leads,
    }));
  });
}

/** Whether `192.0.2.1/24` is the address `192.0.2.1`. */
export function isAddressOf(withPrefix: string, address: string): boolean {
  const [own, ip] = [parseCidr(withPrefix)?.ip, parseIp(address)];
  return own !== undefined && ip !== undefined && compareIps(own, ip) === 0;
}

/** RTPROT_RA of linux/rtnetlink.h: a route that a router advertised. */
const advertisedProtocol = 9;

/**
 * Packets of pods pass the node. An IPv6 host that forwards forgets the routers that advertised themselves to it, unless it is told
 * that it listens to them all the same (accept_ra of Documentation/networking/ip-sysctl.rst): first that.
 */
export function planForwarding(
  networks: readonly ClusterNetwork[],
  { links, routes }: Pick<NetworkState, 'links' | 'routes'>,
): readonly NetOp[] {
  const has = (family: IpFamily): boolean => networks.some((network) => network.family === family);
  const advertised = new Set(
    routes.filter(({ protocol }) => protocol === advertisedProtocol).map(({ linkIndex }) => linkIndex),
  );
  const listening = links.filter(({ index }) => advertised.has(index));
  const v6 = [
    ...listening.map(({ name }) => ({ key: `net/ipv6/conf/${name}/accept_ra`, value: '2' })),
    { key: 'net.ipv6.conf.all.forwarding', value: '1' },
  ];
  return [
    ...(has(4) ? [{ op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' } as const] : []),
    ...(has(6) ? v6.map((setting) => ({ op: 'setSysctl', ...setting }) as const) : []),
    // lo may be down in a fresh namespace, and a route over it needs it up.
    { op: 'setLink', name: 'lo', up: true },
  ];
}

/** Whether a change of a Node can change a route or a rule: a node writes its status far more often than either. */
export function concernsFabric(old: Node | undefined, current: Node | undefined): boolean {
  const facts = (node: Node | undefined): unknown =>
    node === undefined ? undefined : [podCidrsOf(node), internalIpsOf(node), nodeFabricOf(node)];
  return old === undefined || current === undefined || !equalJson(facts(old), facts(current));
}

/** The addresses of a node that others reach it by. */
export function internalIpsOf(node: Node): readonly string[] {
  const addresses = node.status?.addresses ?? [];
  return addresses.filter((item) => item.type === 'InternalIP').map((item) => item.address);
}

/** The pod networks of a node, those that are well formed. */
export function podCidrsOf(node: Node): readonly string[] {
  const { podCIDR, podCIDRs } = node.spec ?? {};
  const cidrs = podCIDRs ?? (podCIDR === undefined ? [] : [podCIDR]);
  return cidrs.filter((cidr) => parseCidr(cidr) !== undefined);
}
