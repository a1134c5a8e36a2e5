import { createHash } from 'node:crypto';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniIp, CniResult, CniRoute } from '#api/cni/result.ts';
import {
  addToIp,
  bitsOf,
  bytesOfIp,
  firstOf,
  formatCidr,
  formatIp,
  hostCidr,
  ipv4Of,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type Ip,
} from '#base/ip.ts';
import type { NetOp } from '#native/netlink/netlink.ts';
import type { BridgeConfig } from './bridge-config.ts';

export interface BridgeRequest {
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
}

/** What ADD does: `host` in the host's namespace, then `container` in the container's. */
export interface BridgePlan {
  readonly host: readonly NetOp[];
  readonly container: readonly NetOp[];
  readonly result: CniResult;
}

interface PlannedIp extends CniIp {
  readonly cidr: Cidr;
  readonly gateway: string | undefined;
}

/** Pure: names, addresses and hardware addresses are all in it. */
export function planBridgeAdd(config: BridgeConfig, request: BridgeRequest, ipam: CniResult): BridgePlan {
  const ips = ipam.ips.map((ip) => planIp(config, ip));
  const routes = planRoutes(config, ips, ipam.routes);
  const veth = hostVethName(request);
  const containerMac = config.mac ?? containerMacOf(request, ips);
  const bridgeMac = bridgeMacOf(config, ips);
  const { mtu } = config;
  const size = mtu === undefined ? {} : { mtu };
  return {
    host: [
      ...planBridge(config, ips, bridgeMac),
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
        mac: macOf('02', `host ${attachmentText(request)}`),
      },
      { op: 'setLink', name: veth, master: config.bridge, up: true },
      ...planPort(config, veth),
    ],
    container: [
      ...(mtu === undefined ? [] : [{ op: 'setLink', name: request.ifname, mtu } as const]),
      ...planNoRouters(request.ifname),
      { op: 'setLink', name: request.ifname, up: true },
      ...ips.map((ip): NetOp => ({ op: 'ensureAddress', name: request.ifname, address: ip.address })),
      ...planGatewayRoutes(config, request, ips),
      ...routes.map((route): NetOp => toRouteOp(route, request.ifname)),
    ],
    result: {
      interfaces: [
        { name: config.bridge, mac: bridgeMac, mtu },
        { name: veth, mac: macOf('02', `host ${attachmentText(request)}`), mtu },
        { name: request.ifname, mac: containerMac, mtu, sandbox: request.netns },
      ],
      ips: ips.map(({ address, gateway }) => ({ address, gateway, interface: 2 })),
      routes,
      dns: ipam.dns,
    },
  };
}

/** DEL: `host` where the container's namespace is gone or its interface has another name by now. */
export function planBridgeDel(request: BridgeRequest): readonly NetOp[] {
  return [{ op: 'removeLink', name: hostVethName(request) }];
}

/** The host's end: derived from the attachment, so that DEL finds it with no state. 15 characters at most. */
export function hostVethName(request: Pick<BridgeRequest, 'containerId' | 'ifname'>): string {
  return `veth${digest(attachmentText(request)).toString('hex').slice(0, 10)}`;
}

function planBridge(config: BridgeConfig, ips: readonly PlannedIp[], mac: string): readonly NetOp[] {
  const { bridge, mtu } = config;
  const gateways = config.isGateway ? ips.filter((ip) => ip.gateway !== undefined) : [];
  const families = new Set(gateways.map((ip) => ip.cidr.ip.family));
  return [
    // A fixed address: a bridge without one takes the lowest of its ports', and containers' ARP entries go stale.
    { op: 'ensureLink', name: bridge, link: { kind: 'bridge' }, ...(mtu === undefined ? {} : { mtu }), mac },
    ...planNoRouters(bridge),
    { op: 'setLink', name: bridge, up: true, ...(config.promiscMode ? { promiscuous: true } : {}) },
    ...gateways.map((ip): NetOp => ({
      op: 'ensureAddress',
      name: bridge,
      address: `${ip.gateway}/${ip.cidr.prefix}`,
    })),
    ...(families.has(4) ? [sysctl('net.ipv4.ip_forward', '1')] : []),
    ...(families.has(6) ? [sysctl('net.ipv6.conf.all.forwarding', '1')] : []),
    // The kernel would tell routed containers to talk to each other directly, which is what `routed` avoids.
    ...(config.routed && families.has(4)
      ? [
          sysctl('net.ipv4.conf.all.send_redirects', '0'),
          sysctl(`net.ipv4.conf.${bridge}.send_redirects`, '0'),
        ]
      : []),
  ];
}

/**
 * Any container with CAP_NET_RAW can say that it is an IPv6 router, or that there is a better one; neither the host nor another
 * container may send its packets there (CVE-2020-10749). The kernel may have no IPv6.
 */
function planNoRouters(link: string): readonly NetOp[] {
  return ['accept_ra', 'accept_redirects'].map((name) => ({
    op: 'setSysctl',
    key: `net/ipv6/conf/${link}/${name}`,
    value: '0',
    isOptional: true,
  }));
}

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
  const gatewayOf = (dst: string): string | undefined =>
    ips.find((ip) => ip.cidr.ip.family === parseCidr(dst)?.ip.family)?.gateway;
  const routes = given.map((route) => ({ ...route, gw: route.gw ?? gatewayOf(route.dst) }));
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
  request: BridgeRequest,
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

function toRouteOp(route: CniRoute, dev: string): NetOp {
  const { dst, gw: gateway, mtu } = route;
  return {
    op: 'ensureRoute',
    destination: dst === '0.0.0.0/0' || dst === '::/0' ? 'default' : dst,
    ...(gateway === undefined ? { scope: 'link' } : { gateway }),
    dev,
    ...(mtu === undefined ? {} : { mtu }),
  };
}

/** 0a:58 and the IPv4 address: when an address is given out again, the neighbours' entries for it still hold. */
function containerMacOf(request: BridgeRequest, ips: readonly PlannedIp[]): string {
  const ip = ips.find(({ cidr }) => cidr.ip.family === 4);
  return ip === undefined ? macOf('02', `container ${attachmentText(request)}`) : macOfIp(ip.cidr.ip);
}

function bridgeMacOf(config: BridgeConfig, ips: readonly PlannedIp[]): string {
  const gateway = ips.find((ip) => ip.cidr.ip.family === 4)?.gateway;
  return gateway === undefined || !config.isGateway
    ? macOf('02', `bridge ${config.bridge}`)
    : macOfIp(parseIp(gateway) ?? ipv4Of(0));
}

function macOfIp(ip: Ip): string {
  const bytes = [...bytesOfIp(ip)].map((byte) => byte.toString(16).padStart(2, '0'));
  return ['0a', '58', ...bytes].join(':');
}

/** A locally administered unicast address. */
function macOf(first: string, seed: string): string {
  return [first, ...(digest(seed).toString('hex').slice(0, 10).match(/../g) ?? [])].join(':');
}

function attachmentText(request: Pick<BridgeRequest, 'containerId' | 'ifname'>): string {
  return `${request.containerId} ${request.ifname}`;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function sysctl(key: string, value: string): NetOp {
  return { op: 'setSysctl', key, value };
}
