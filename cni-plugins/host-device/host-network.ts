/**
 * What a link of the host has there, as it moves to a container: clouds configure the addresses and routes of a machine's links, and nothing
 * else knows them. Pure.
 */
import type { CniIp, CniRoute } from '#api/cni/result.ts';
import { cidrContains, parseCidr } from '#base/ip.ts';
import type { NetOp, NetworkState, RouteInfo, RoutingPolicy } from '#native/netlink/netlink.ts';
import { familyOf } from '#cni-plugins/skel/link-plan.ts';

type HostRoute = RouteInfo & { readonly table?: number };

export interface HostNetwork {
  readonly addresses: readonly string[];
  /** Those on the link first, as gateways are reached by them. */
  readonly routes: readonly HostRoute[];
  /** By which one of the addresses is routed by a table that one of the routes is in. */
  readonly rules: RoutingPolicy['rules'];
}

export const noHostNetwork: HostNetwork = { addresses: [], routes: [], rules: [] };

/** RTPROT_KERNEL: the route of an address. RTPROT_RA: of a router, which tells the container, too. */
const madeAnew: ReadonlySet<number> = new Set([2, 9]);
/** RT_TABLE_MAIN. */
const mainTable = 254;

/** Addresses that are global and stay, routes that do not come by themselves, and the rules that lead to them. */
export function hostNetworkOf(linkIndex: number, host: NetworkState, policy: RoutingPolicy): HostNetwork {
  const addresses = host.addresses.flatMap((each) =>
    each.linkIndex === linkIndex && each.scope === undefined && each.isTemporary !== true
      ? [each.address]
      : [],
  );
  const all: readonly HostRoute[] = [...host.routes, ...policy.routes];
  const routes = all.filter(
    (route) =>
      route.linkIndex === linkIndex && !madeAnew.has(route.protocol) && !/^f[ef]/.test(route.destination),
  );
  const tables = new Set(routes.map(({ table }) => table ?? mainTable));
  const rules = policy.rules.filter(
    ({ source, table }) => tables.has(table) && addresses.some((address) => isWithin(address, source)),
  );
  return { addresses, routes: routes.toSorted((a, b) => b.scope - a.scope), rules };
}

/** The same on the link by the name that it has now, which is up. */
export function planHostNetwork(ifname: string, { addresses, routes }: HostNetwork): readonly NetOp[] {
  return [
    ...addresses.map((address): NetOp => ({ op: 'ensureAddress', name: ifname, address })),
    ...routes.map((route): NetOp => toOp(route, ifname)),
  ];
}

export function planHostRules({ rules }: HostNetwork): readonly NetOp[] {
  return rules.map(({ source, table }): NetOp => ({ op: 'ensureRule', source, table }));
}

/** As a result says them; of a route all but its source. */
export function resultOfHost({ addresses, routes }: HostNetwork): {
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
} {
  return { ips: addresses.map((address) => ({ address })), routes: routes.map(toRoute) };
}

const scopes = { 253: 'link', 254: 'host' } as const;

function toOp(route: HostRoute, dev: string): NetOp {
  const { destination, gateway, protocol, scope, priority, source, mtu, isOnLink, table } = route;
  return {
    op: 'ensureRoute',
    destination,
    dev,
    protocol,
    ...(gateway === undefined ? {} : { gateway }),
    ...(scope === 253 || scope === 254 ? { scope: scopes[scope] } : { scope: 'global' as const }),
    ...(priority === undefined ? {} : { priority }),
    ...(source === undefined ? {} : { source }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(isOnLink === undefined ? {} : { isOnLink }),
    ...(table === undefined ? {} : { table }),
  };
}

function toRoute({ destination, gateway, scope, priority, mtu, table }: HostRoute): CniRoute {
  const isIpv6 = gateway?.includes(':') === true;
  const dst = destination === 'default' ? (isIpv6 ? '::/0' : '0.0.0.0/0') : destination;
  return {
    dst,
    ...(gateway === undefined ? {} : { gw: gateway }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(priority === undefined ? {} : { priority }),
    ...(table === undefined ? {} : { table }),
    ...(scope === 0 || familyOf(dst) === 6 ? {} : { scope }),
  };
}

function isWithin(address: string, source: string): boolean {
  const [ip, network] = [parseCidr(address)?.ip, parseCidr(source)];
  return ip !== undefined && network !== undefined && cidrContains(network, ip);
}
