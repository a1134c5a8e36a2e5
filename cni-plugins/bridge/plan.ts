import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniIp, CniRoute } from '#api/cni/result.ts';
import {
  addToIp,
  bitsOf,
  cidrContains,
  firstOf,
  formatCidr,
  formatIp,
  hostCidr,
  ipv4Of,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type IpFamily,
} from '#base/ip.ts';
import { ownNetns, type NetOp, type NetworkState } from '#native/netlink/netlink.ts';
import {
  containerMacOf,
  digestOf,
  hostMacOf,
  hostVethName,
  macOf,
  macOfIp,
  planIpv6,
  planNoRouters,
  planNotify,
  toRouteOp,
  withGateways,
  type LinkRequest,
} from '#cni-plugins/skel/link-plan.ts';
import type { LinkPlan, LinkPlugin, PlanInput } from '#cni-plugins/skel/link-plugin.ts';
import { gatewayLink, type BridgeConfig, type BridgeVlans } from './bridge-config.ts';

interface PlannedIp extends CniIp {
  readonly cidr: Cidr;
  readonly gateway: string | undefined;
}

/** Pure: names, addresses and hardware addresses are all in it. */
export function planBridgeAdd({
  config,
  request,
  ipam,
  host,
}: Omit<PlanInput<BridgeConfig>, 'host' | 'policy'> &
  Partial<Pick<PlanInput<BridgeConfig>, 'host'>>): LinkPlan {
  const ips = ipam.ips.map((ip) => planIp(config, ip));
  const routes = planRoutes(config, ips, ipam.routes);
  const veth = hostVethName(request);
  const containerMac = macOfContainer(config, request, ips);
  const bridgeMac = bridgeMacOf(config, ips);
  const { mtu } = config;
  const size = mtu === undefined ? {} : { mtu };
  return {
    changes: [
      {
        netns: ownNetns,
        ops: [
          ...planBridge(config, ips, bridgeMac),
          ...(config.forceAddress && host !== undefined ? planOnlyAddress(config, ips, host) : []),
          // What is left of an earlier attachment of this container: the kernel removes it some time after its namespace.
          { op: 'removeLink', name: veth },
          {
            op: 'addLink',
            name: veth,
            link: {
              kind: 'veth',
              peerName: request.ifname,
              peerNetns: { kind: 'path', path: request.netns },
              peerMac: containerMac,
            },
            ...size,
            mac: hostMacOf(request),
          },
          ...planMembership(config, veth),
          ...planPort(config, veth),
          ...planForgotten(hostLinkOf(config), ips, containerMac),
        ],
      },
      {
        netns: { kind: 'path', path: request.netns },
        ops: [
          ...(mtu === undefined ? [] : [{ op: 'setLink', name: request.ifname, mtu } as const]),
          ...planEnd(config, request, ips),
          ...planGatewayRoutes(config, request, ips),
          ...routes.map((route): NetOp => toRouteOp(route, request.ifname)),
        ],
      },
    ],
    result: {
      interfaces: [
        { name: config.bridge, mac: bridgeMac, mtu },
        { name: veth, mac: hostMacOf(request), mtu },
        { name: request.ifname, mac: containerMac, mtu, sandbox: request.netns },
      ],
      ips: ips.map(({ address, gateway }) => ({ address, gateway, interface: 2 })),
      routes,
      dns: ipam.dns,
    },
  };
}

/** The container's end with its addresses, which neighbours are told of as it comes up. */
function planEnd(config: BridgeConfig, { ifname }: LinkRequest, ips: readonly PlannedIp[]): readonly NetOp[] {
  return [
    ...planNoRouters(ifname),
    ...planIpv6(ifname, ips),
    ...(config.detectsDuplicates ? askingFirst(ifname) : [withoutWaiting(ifname)]),
    // Of a routed bridge the host is the only neighbour.
    ...(config.routed ? [] : planNotify(ifname)),
    ...ips.map((ip): NetOp => ({
      op: 'ensureAddress',
      name: ifname,
      address: ip.address,
      ...(config.detectsDuplicates ? { detectsDuplicates: true } : {}),
    })),
    ...(config.isLeftDown ? [] : [{ op: 'setLink', name: ifname, up: true } as const]),
  ];
}

/**
 * Who had one of the addresses before may have had it by another hardware address, by which the host would go on asking for some seconds; what
 * the container says of itself as it comes up is lost where its port does not forward yet.
 */
function planForgotten(link: string, ips: readonly PlannedIp[], mac: string): readonly NetOp[] {
  return ips
    .filter(({ cidr }) => macOfIp(cidr.ip) !== mac)
    .map(({ cidr }) => ({ op: 'removeNeighbour', name: link, address: formatIp(cidr.ip) }));
}

/**
 * With a check of it the address is the attachment's own, so that DEL knows it without what ADD said.
 */
export function macOfContainer(
  config: BridgeConfig,
  request: LinkRequest,
  ips: Parameters<typeof containerMacOf>[1],
): string {
  return config.mac ?? containerMacOf(request, config.macSpoofCheck ? [] : ips);
}

/** On the host where the container's namespace is gone or its interface has another name by now. */
export function planBridgeDel(request: LinkRequest): ReturnType<LinkPlugin<BridgeConfig>['planDel']> {
  return {
    host: [{ op: 'removeLink', name: hostVethName(request) }],
    container: [{ op: 'removeLink', name: request.ifname }],
  };
}

/**
 * A link waits a second or two until it knows that nobody else has the address that it gives itself, and asks for no neighbour
 * meanwhile (docs/kernel-notes.md#v6-neighbour-source). The kernel may have no IPv6.
 */
function withoutWaiting(link: string): NetOp {
  return { op: 'setSysctl', key: `net/ipv6/conf/${link}/accept_dad`, value: '0', isOptional: true };
}

/** `enhanced_dad`: what comes back of the question itself is no answer (RFC 7527), as with a bridge's hairpin mode. */
function askingFirst(link: string): readonly NetOp[] {
  return ['enhanced_dad', 'accept_dad'].map((name) => ({
    op: 'setSysctl',
    key: `net/ipv6/conf/${link}/${name}`,
    value: '1',
    isOptional: true,
  }));
}

function planBridge(config: BridgeConfig, ips: readonly PlannedIp[], mac: string): readonly NetOp[] {
  const { bridge, mtu, vlans } = config;
  const gateways = config.isGateway ? ips.filter((ip) => ip.gateway !== undefined) : [];
  const families = new Set(gateways.map((ip) => ip.cidr.ip.family));
  return [
    // A fixed address: a bridge without one takes the lowest of its ports', and containers' ARP entries go stale.
    { op: 'ensureLink', name: bridge, link: { kind: 'bridge' }, ...(mtu === undefined ? {} : { mtu }), mac },
    ...(vlans === undefined ? [] : [{ op: 'setBridge', name: bridge, vlanFiltering: true } as const]),
    ...planNoRouters(bridge),
    withoutWaiting(bridge),
    { op: 'setLink', name: bridge, up: true, ...(config.promiscMode ? { promiscuous: true } : {}) },
    ...planGateway(config, gateways, mac),
    ...(families.has(4) ? [sysctl('net.ipv4.ip_forward', '1')] : []),
    ...(families.has(6) ? [sysctl('net.ipv6.conf.all.forwarding', '1')] : []),
    // The kernel would tell routed containers to talk to each other directly, which is what `routed` avoids.
    ...(config.routed && families.has(4)
      ? [
          sysctl('net.ipv4.conf.all.send_redirects', '0'),
          sysctl(`net.ipv4.conf.${bridge}.send_redirects`, '0'),
        ]
      : []),
    ...(config.routed ? [...families].map((family) => askSoonAgain(bridge, family)) : []),
  ];
}

/**
 * Who asks for a container that is gone is told so after three questions to the link without an answer (arp(7), mcast_solicit): in a
 * fraction of a second rather than three. On this link everybody is of this host, and the kernel answers.
 */
function askSoonAgain(link: string, family: IpFamily): NetOp {
  return {
    op: 'setSysctl',
    key: `net/ipv${family}/neigh/${link}/retrans_time_ms`,
    value: '50',
    isOptional: true,
  };
}

/** The bridge itself is of its own VLAN: in another the gateway is the end of a pair, the other end of which is a port of that one. */
function planGateway(config: BridgeConfig, gateways: readonly PlannedIp[], mac: string): readonly NetOp[] {
  const { bridge, vlans, mtu } = config;
  const toAddress =
    (name: string) =>
    (ip: PlannedIp): NetOp => ({
      op: 'ensureAddress',
      name,
      address: `${ip.gateway}/${ip.cidr.prefix}`,
    });
  if (vlans?.native === undefined) return gateways.map(toAddress(bridge));
  if (!config.isGateway) return [];
  const [name, port] = [gatewayLink(bridge, vlans.native), gatewayPort(bridge, vlans.native)];
  const size = mtu === undefined ? {} : { mtu };
  return [
    { op: 'ensureLink', name, link: { kind: 'veth', peerName: port }, ...size, mac },
    ...planNoRouters(name),
    withoutWaiting(name),
    { op: 'setLink', name: port, master: bridge },
    ...planVlans({ ...vlans, trunk: [] }, port),
    { op: 'setLink', name: port, up: true },
    { op: 'setLink', name, up: true },
    ...gateways.map(toAddress(name)),
  ];
}

/** Addresses that an earlier configuration gave the gateway. */
function planOnlyAddress(
  config: BridgeConfig,
  ips: readonly PlannedIp[],
  { links, addresses }: NetworkState,
): readonly NetOp[] {
  const name = hostLinkOf(config);
  const index = links.find((link) => link.name === name)?.index;
  const wanted = ips.flatMap(({ gateway, cidr }) => parseCidr(`${gateway}/${cidr.prefix}`) ?? []);
  const isInTheWay = (text: string): boolean => {
    const cidr = parseCidr(text);
    if (cidr === undefined || wanted.some((each) => formatCidr(each) === formatCidr(cidr))) return false;
    return wanted.some(
      (each) =>
        each.ip.family === cidr.ip.family &&
        (cidr.ip.family === 4 || cidrContains(each, cidr.ip) || cidrContains(cidr, each.ip)),
    );
  };
  return addresses
    .filter(({ linkIndex, address }) => index !== undefined && linkIndex === index && isInTheWay(address))
    .map(({ address }): NetOp => ({ op: 'removeAddress', name, address }));
}

/** By which the host is in the containers' network. */
const hostLinkOf = ({ bridge, vlans }: BridgeConfig): string =>
  vlans?.native === undefined ? bridge : gatewayLink(bridge, vlans.native);

const gatewayPort = (bridge: string, vlan: number): string =>
  `vgw${digestOf(gatewayLink(bridge, vlan)).slice(0, 10)}`;

/** In no VLAN that it shall not be in, from the first frame on. */
function planMembership({ bridge, vlans }: BridgeConfig, veth: string): readonly NetOp[] {
  if (vlans === undefined) return [{ op: 'setLink', name: veth, master: bridge, up: true }];
  return [
    { op: 'setLink', name: veth, master: bridge },
    ...planVlans(vlans, veth),
    { op: 'setLink', name: veth, up: true },
  ];
}

/** A port is in VLAN 1 from the beginning. */
function planVlans({ native, keepsDefault, trunk }: BridgeVlans, port: string): readonly NetOp[] {
  return [
    ...(keepsDefault || native === defaultVlan
      ? []
      : [{ op: 'removeBridgeVlans', name: port, first: defaultVlan } as const]),
    ...(native === undefined
      ? []
      : [{ op: 'addBridgeVlans', name: port, first: native, isNative: true } as const]),
    ...trunk.map((range) => ({ op: 'addBridgeVlans', name: port, ...range }) as const),
  ];
}

/** The kernel's vlan_default_pvid. */
const defaultVlan = 1;

function planPort(config: BridgeConfig, veth: string): readonly NetOp[] {
  if (!config.hairpinMode && !config.portIsolation) return [];
  return [
    {
      op: 'setBridgePort',
      name: veth,
      ...(config.hairpinMode ? { hairpin: true } : {}),
      ...(config.portIsolation ? { isolated: true } : {}),
    },
  ];
}

function planIp(config: BridgeConfig, ip: CniIp): PlannedIp {
  const cidr = parseCidr(ip.address);
  if (cidr === undefined) throw cniError(cniErrorCode.decodingFailure, `bridge: IPAM gave ${ip.address}`);
  const first = addToIp(firstOf(cidr), 1);
  const gateway = ip.gateway ?? (config.isGateway && first !== undefined ? formatIp(first) : undefined);
  const address = config.routed ? formatCidr(hostCidr(cidr.ip)) : ip.address;
  return { address, gateway, cidr };
}

/** The routes of the result: those that IPAM gave, with their gateway, and the default route where asked for. */
function planRoutes(
  config: BridgeConfig,
  ips: readonly PlannedIp[],
  given: readonly CniRoute[],
): readonly CniRoute[] {
  const routes = withGateways(ips, given);
  if (!config.isDefaultGateway) return routes;
  const missing = ips.flatMap(({ cidr, gateway: gw }) => {
    const dst = cidr.ip.family === 4 ? '0.0.0.0/0' : '::/0';
    return gw === undefined || routes.some((route) => route.dst === dst) ? [] : [{ dst, gw }];
  });
  return [...routes, ...missing];
}

/** `routed`: the gateway is on the link, and the rest of the subnet is behind it. */
function planGatewayRoutes(
  config: BridgeConfig,
  request: LinkRequest,
  ips: readonly PlannedIp[],
): readonly NetOp[] {
  if (!config.routed) return [];
  return ips.flatMap(({ gateway, cidr }): readonly NetOp[] => {
    if (gateway === undefined) return [];
    return [
      {
        op: 'ensureRoute',
        destination: `${gateway}/${bitsOf(cidr.ip.family)}`,
        dev: request.ifname,
        scope: 'link',
      },
      { op: 'ensureRoute', destination: formatCidr(networkOf(cidr)), gateway, dev: request.ifname },
    ];
  });
}

function bridgeMacOf(config: BridgeConfig, ips: readonly PlannedIp[]): string {
  const gateway = ips.find((ip) => ip.cidr.ip.family === 4)?.gateway;
  return gateway === undefined || !config.isGateway
    ? macOf(`bridge ${config.bridge}`)
    : macOfIp(parseIp(gateway) ?? ipv4Of(0));
}

function sysctl(key: string, value: string): NetOp {
  return { op: 'setSysctl', key, value };
}
