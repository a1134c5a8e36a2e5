import { cidrContains, firstOf, lastOf, parseCidr, type Cidr } from '#base/ip.ts';
import { findCondition } from '#api/meta/condition.ts';
import type { Node, NodeAddress, NodeCondition } from '#api/generated/objects.ts';
import type { CloudRoute } from '#control-plane/cloud/cloud.ts';

export interface RoutePlan {
  /** First: one that leads elsewhere by now is removed and made again. */
  readonly remove: readonly CloudRoute[];
  readonly create: readonly { readonly route: CloudRoute; readonly node: Node }[];
}

/** A route to each pod network of each node, and none within the cluster's that leads elsewhere. Others' are left alone. Pure. */
export function planRoutes(
  nodes: readonly Node[],
  routes: readonly CloudRoute[],
  clusterCidrs: readonly Cidr[],
): RoutePlan {
  const byName = new Map(nodes.map((node) => [node.metadata?.name ?? '', node]));
  const isKept = (route: CloudRoute): boolean => {
    const node = byName.get(route.node ?? '');
    return (
      node !== undefined &&
      podCidrsOf(node).includes(route.destination) &&
      leadsTo(route, node.status?.addresses ?? [])
    );
  };
  const kept = new Set<string>();
  const remove = routes.filter((route) => {
    if (route.isBlackhole !== true && isKept(route)) {
      kept.add(keyOf(route.node, route.destination));
      return false;
    }
    return isWithin(route.destination, clusterCidrs);
  });
  const create = nodes.flatMap((node) =>
    podCidrsOf(node).flatMap((destination) => {
      const name = node.metadata?.name ?? '';
      if (kept.has(keyOf(name, destination))) return [];
      const nodeAddresses = node.status?.addresses ?? [];
      return [{ node, route: { node: name, destination, nodeAddresses } }];
    }),
  );
  return { remove, create };
}

export const podCidrsOf = ({ spec }: Node): readonly string[] => spec?.podCIDRs ?? [];

const keyOf = (node: string | undefined, destination: string): string => `${node ?? ''} ${destination}`;

/** Of a cloud that does not say where a route leads it is taken to lead there. */
function leadsTo({ nodeAddresses }: CloudRoute, addresses: readonly NodeAddress[]): boolean {
  if (nodeAddresses === undefined) return true;
  const textOf = (all: readonly NodeAddress[]): string =>
    all
      .map(({ type, address }) => `${type} ${address}`)
      .toSorted()
      .join();
  return textOf(nodeAddresses) === textOf(addresses);
}

function isWithin(destination: string, clusterCidrs: readonly Cidr[]): boolean {
  const cidr = parseCidr(destination);
  if (cidr === undefined) return false;
  return clusterCidrs.some((own) => cidrContains(own, firstOf(cidr)) || cidrContains(own, lastOf(cidr)));
}

/** What a node is to say of its network; undefined: it does, or has no part of the network yet. Pure. */
export function planCondition(
  node: Node,
  areAllThere: boolean,
): Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'> | undefined {
  const wanted =
    podCidrsOf(node).length > 0 && areAllThere
      ? { status: 'False', reason: 'RouteCreated', message: 'RouteController created a route' }
      : { status: 'True', reason: 'NoRouteCreated', message: 'RouteController failed to create a route' };
  const type = 'NetworkUnavailable';
  const there = findCondition(node.status?.conditions, type);
  // The reason counts, too: a CNI plugin may have said so in words of its own.
  return there?.status === wanted.status && there.reason === wanted.reason ? undefined : { type, ...wanted };
}
