import type { Node } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import { familyOfIp, formatCidr, formatIp, networkOf, parseCidr, parseIp } from '#base/ip.ts';
import type { NetOp, RouteInfo } from '#native/netlink/netlink.ts';
import type { NftElement, NftExpr, NftSet, NftTable } from '#native/nft/nft.ts';

/** Marks routes as ours (RTA protocol), so that repair removes no route of anybody else. */
export const podwrightRouteProtocol = 112;

/** A route to another node's pods. */
export interface FabricRoute {
  readonly destination: string;
  readonly gateway: string;
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

/** What makes the kernel's routes those wanted; nothing if they are. Old ones go first: a CIDR may have moved to a new node. */
export function planRoutes(wanted: readonly FabricRoute[], actual: readonly RouteInfo[]): readonly NetOp[] {
  const mine = actual.filter(
    (route) => route.protocol === podwrightRouteProtocol && route.gateway !== undefined,
  );
  const wantedKeys = new Set(wanted.map((route) => `${route.destination} ${route.gateway}`));
  const actualKeys = new Set(mine.map((route) => `${route.destination} ${route.gateway}`));
  return [
    ...mine
      .filter((route) => !wantedKeys.has(`${route.destination} ${route.gateway}`))
      .map((route): NetOp => ({
        op: 'removeRoute',
        destination: route.destination,
        ...(route.gateway === undefined ? {} : { gateway: route.gateway }),
      })),
    ...wanted
      .filter((route) => !actualKeys.has(`${route.destination} ${route.gateway}`))
      .map((route): NetOp => ({ op: 'ensureRoute', ...route, protocol: podwrightRouteProtocol })),
  ];
}

export interface MasqueradeOptions {
  /** This node's pods (IPv4). */
  readonly podCidr: string;
  /** All pods of the cluster. */
  readonly clusterCidr: string;
  /** Addresses of Services: what the proxy did not translate goes nowhere, and is not made to look like the node's. */
  readonly serviceCidr: string;
  /** The nodes' link: what lives there has no route back to pods, unless it is a node. */
  readonly linkCidr: string | undefined;
  /** Whether pods may leave the cluster with the node's address. */
  readonly hasEgress: boolean;
}

const keepSet: NftSet = { name: 'keep-source', keyTypes: ['ipv4_addr'], interval: true };

/**
 * Pods keep their address towards pods and nodes, which have routes back. Towards others on the nodes' link (an API server
 * that is no node) they take the node's address; towards the rest of the world only with egress.
 */
export function renderMasquerade(options: MasqueradeOptions, nodes: readonly Node[]): NftTable {
  const target = { load: 'ip daddr' } as const;
  const source: NftExpr = { expr: 'match', left: { load: 'ip saddr' }, op: '==', right: options.podCidr };
  const outside: NftExpr = { expr: 'lookup', key: [target], set: keepSet.name, negate: true };
  const onLink: readonly NftExpr[] =
    options.linkCidr === undefined
      ? []
      : [{ expr: 'match', left: target, op: '==', right: options.linkCidr }];
  const isNeeded = options.hasEgress || options.linkCidr !== undefined;
  const exprs = [source, outside, ...(options.hasEgress ? [] : onLink), { expr: 'masquerade' } as const];
  return {
    ...masqueradeTable,
    sets: [keepSet],
    chains: [
      {
        name: 'postrouting',
        hook: { type: 'nat', hook: 'postrouting', priority: 100 },
        rules: isNeeded ? [{ exprs }] : [],
      },
    ],
    elements: { [keepSet.name]: keepElements(options, nodes) },
  };
}

export const masqueradeTable = { family: 'ip', name: 'podwright-fabric' } as const;

function keepElements(options: MasqueradeOptions, nodes: readonly Node[]): readonly NftElement[] {
  const addresses = nodes.flatMap(internalIpsOf).filter((ip) => familyOfIp(ip) === 4);
  const keys = new Set([options.clusterCidr, options.serviceCidr, '224.0.0.0/4', ...addresses]);
  return [...keys].toSorted().map((key) => ({ key: [key] }));
}

/** Whether a change of a Node can change a route or a rule: a node writes its status far more often than either. */
export function concernsFabric(old: Node | undefined, current: Node | undefined): boolean {
  const facts = (node: Node | undefined): unknown =>
    node === undefined ? undefined : [podCidrsOf(node), internalIpsOf(node)];
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
