/** What every plan of a container's interface has: names, addresses, routes. Pure. */
import { createHash } from 'node:crypto';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import type { CniIp, CniResult, CniRoute } from '#api/cni/result.ts';
import { bytesOfIp, parseCidr, type Ip } from '#base/ip.ts';
import type { NetOp } from '#native/netlink/netlink.ts';

export interface LinkRequest {
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
}

/**
 * The interface comes up with its addresses, which neighbours are told of as it does (`planNotify`), then routes: those need it up. A gateway
 * that a route lacks is that of an address.
 */
export function planContainer(
  ifname: string,
  { ips, routes }: Pick<CniResult, 'ips' | 'routes'>,
): readonly NetOp[] {
  return [
    ...planNoRouters(ifname),
    ...planIpv6(ifname, ips),
    ...ips.map((ip): NetOp => ({ op: 'ensureAddress', name: ifname, address: ip.address })),
    { op: 'setLink', name: ifname, up: true },
    ...withGateways(ips, routes).map((route): NetOp => toRouteOp(route, ifname)),
  ];
}

/**
 * Any container with CAP_NET_RAW can say that it is an IPv6 router, or that there is a better one; neither the host nor another
 * container may send its packets there (CVE-2020-10749). The kernel may have no IPv6.
 */
export function planNoRouters(link: string): readonly NetOp[] {
  return ['accept_ra', 'accept_redirects'].map((name) => ({
    op: 'setSysctl',
    key: `net/ipv6/conf/${link}/${name}`,
    value: '0',
    isOptional: true,
  }));
}

/** A runtime may have IPv6 turned off in the namespaces that it makes: no address would be taken. */
export function planIpv6(ifname: string, ips: readonly Pick<CniIp, 'address'>[]): readonly NetOp[] {
  if (!ips.some(({ address }) => familyOf(address) === 6)) return [];
  return ['lo', ifname].map((link) => ({
    op: 'setSysctl',
    key: `net/ipv6/conf/${link}/disable_ipv6`,
    value: '0',
    isOptional: true,
  }));
}

export function withGateways(ips: readonly CniIp[], routes: readonly CniRoute[]): readonly CniRoute[] {
  const gatewayOf = (dst: string): string | undefined =>
    ips.find((ip) => familyOf(ip.address) === familyOf(dst))?.gateway;
  return routes.map((route) => ({
    ...route,
    gw: route.gw ?? (isNear(route) ? undefined : gatewayOf(route.dst)),
  }));
}

/** RT_SCOPE_* of linux/rtnetlink.h, as results write them. */
const scopes = { 0: 'global', 253: 'link', 254: 'host' } as const;

/** What is on the link, or of the host itself, has no gateway: the kernel refuses one (fib_check_nh of net/ipv4/fib_semantics.c). */
const isNear = ({ scope }: CniRoute): boolean => scope === 253 || scope === 254;

function scopeOf({ dst, scope, gw }: CniRoute): (typeof scopes)[keyof typeof scopes] | undefined {
  if (scope === undefined) return gw === undefined ? 'link' : undefined;
  if (scope === 0 || scope === 253 || scope === 254) return scopes[scope];
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `route to ${dst}: scope ${scope} is none of 0 (global), 253 (link) and 254 (host)`,
  );
}

export function toRouteOp(route: CniRoute, dev: string): NetOp {
  const { dst, gw: gateway, mtu, advmss, table, priority } = route;
  const scope = scopeOf(route);
  const isAll = dst === '0.0.0.0/0' || dst === '::/0';
  return {
    op: 'ensureRoute',
    // Without a gateway `default` would be that of IPv4.
    destination: isAll && (gateway !== undefined || dst === '0.0.0.0/0') ? 'default' : dst,
    ...(scope === undefined ? {} : { scope }),
    ...(gateway === undefined ? {} : { gateway }),
    dev,
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    ...(table === undefined ? {} : { table }),
    ...(priority === undefined ? {} : { priority }),
  };
}

export function familyOf(cidr: string): 4 | 6 | undefined {
  return parseCidr(cidr)?.ip.family;
}

/** The host's end of a pair: derived from the attachment, so that DEL finds it with no state. 15 characters at most. */
export function hostVethName(request: Pick<LinkRequest, 'containerId' | 'ifname'>): string {
  return `veth${digestOf(attachmentText(request)).slice(0, 10)}`;
}

export const isHostVethName = (name: string): boolean => /^veth[0-9a-f]{10}$/.test(name);

/** 0a:58 and the IPv4 address: when an address is given out again, the neighbours' entries for it still hold. */
export function containerMacOf(request: LinkRequest, ips: readonly CniIp[]): string {
  const ip = ips.map(({ address }) => parseCidr(address)?.ip).find((each) => each?.family === 4);
  return ip === undefined ? macOf(`container ${attachmentText(request)}`) : macOfIp(ip);
}

export const hostMacOf = (request: LinkRequest): string => macOf(`host ${attachmentText(request)}`);

export function macOfIp(ip: Ip): string {
  const bytes = [...bytesOfIp(ip)].map((byte) => byte.toString(16).padStart(2, '0'));
  return ['0a', '58', ...bytes].join(':');
}

/** A locally administered unicast address. */
export function macOf(seed: string): string {
  return ['02', ...(digestOf(seed).slice(0, 10).match(/../g) ?? [])].join(':');
}

/** @throws {E_INVALID} */
export function requireIps(type: string, ipam: CniResult): void {
  if (ipam.ips.length > 0) return;
  throw cniError(cniErrorCode.invalidNetworkConfig, `${type}: ipam is missing; it needs an address`);
}

export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function attachmentText(request: Pick<LinkRequest, 'containerId' | 'ifname'>): string {
  return `${request.containerId} ${request.ifname}`;
}

/**
 * Neighbours are told when the address is another's by now (gratuitous ARP, unsolicited NDP): as the link comes up, of the addresses that it
 * has by then (inetdev_event of net/ipv4/devinet.c, ndisc_netdev_event of net/ipv6/ndisc.c).
 */
export function planNotify(ifname: string): readonly NetOp[] {
  return ['ipv4/conf/IF/arp_notify', 'ipv6/conf/IF/ndisc_notify'].map((key) => ({
    op: 'setSysctl',
    key: `net/${key.replace('IF', ifname)}`,
    value: '1',
    isOptional: true,
  }));
}
