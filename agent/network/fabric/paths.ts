/** How packets reach the pods of each other node: what it says of itself, and where it is, make a path. Pure. */
import type { Node } from '#api/generated/objects.ts';
import {
  cidrContains,
  familyOfIp,
  formatCidr,
  formatIp,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type IpFamily,
} from '#base/ip.ts';
import type { NetworkState } from '#native/netlink/netlink.ts';
import { internalIpsOf, podCidrsOf } from './fabric-plan.ts';
import { nodeFabricOf, type NodeFabric } from './node-fabric.ts';
import type { FabricKind } from './settings.ts';

interface PathBase {
  readonly node: string;
  /** Pods of the node: `10.244.1.0/24`, canonical. */
  readonly destination: string;
}

/** By a gateway on the link, or through a tunnel to `remote`. */
export type Path =
  | (PathBase & { readonly kind: 'direct'; readonly gateway: string })
  | (PathBase & { readonly kind: 'vxlan'; readonly remote: string; readonly mac: string })
  | (PathBase & { readonly kind: 'udp'; readonly remote: string; readonly port: number })
  | (PathBase & {
      readonly kind: 'wireguard';
      readonly remote: string;
      readonly port: number;
      readonly publicKey: string;
    });

export type TunnelKind = Exclude<FabricKind, 'host-gw'>;

/** Why there is no path to a node's pods, or not the one that it asks for. */
export interface PathProblem {
  readonly node: string;
  readonly message: string;
}

export interface PathsInput {
  readonly nodes: readonly Node[];
  readonly ownName: string;
  /** That by which tunnels go: of all nodes the same, as each has an address of every family of the cluster. */
  readonly outerFamily: IpFamily;
  /** Of the node's vxlan device: it has one network and sends to one port. */
  readonly vxlan: Pick<NodeFabric, 'port' | 'vni'>;
  /** Whether nodes on one link do without the tunnel. */
  readonly isDirect: boolean;
  readonly isOnLink: (ip: string) => boolean;
}

export interface Paths {
  /** By destination; one each. */
  readonly paths: readonly Path[];
  readonly problems: readonly PathProblem[];
}

/**
 * A node is reached as it says that it is: then a fabric can be changed node by node. Of two that claim one range, one hardware
 * address or one key, the first by name has it; the other is told of.
 */
export function computePaths(input: PathsInput): Paths {
  const paths: Path[] = [];
  const problems: PathProblem[] = [];
  const claimed = new Map<string, string>();
  const others = input.nodes
    .filter((node) => node.metadata?.name !== input.ownName)
    .toSorted((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  for (const node of others) {
    const name = node.metadata?.name ?? '';
    const cidrs = podCidrsOf(node).flatMap((text) => parseCidr(text) ?? []);
    for (const cidr of cidrs) {
      const path = pathTo(node, networkOf(cidr), input);
      if (path === undefined) continue; // Its addresses are not known yet.
      if ('message' in path) {
        problems.push(path);
        continue;
      }
      const rival = claimsOf(path)
        .map((claim) => claimed.get(claim))
        .find((other) => other !== undefined && other !== name);
      if (rival === undefined) {
        for (const claim of claimsOf(path)) claimed.set(claim, name);
        paths.push(path);
      } else problems.push({ node: name, message: `claims what ${rival} has: ${claimsOf(path).join(', ')}` });
    }
  }
  return { paths: paths.toSorted((a, b) => (a.destination < b.destination ? -1 : 1)), problems };
}

function claimsOf(path: Path): readonly string[] {
  switch (path.kind) {
    case 'vxlan':
      return [path.destination, path.mac];
    case 'wireguard':
      return [path.destination, path.publicKey];
    default:
      return [path.destination];
  }
}

function pathTo(node: Node, cidr: Cidr, input: PathsInput): Path | PathProblem | undefined {
  const name = node.metadata?.name ?? '';
  const base = { node: name, destination: formatCidr(cidr) };
  const ips = internalIpsOf(node).flatMap((text) => parseIp(text) ?? []);
  const ipOf = (family: IpFamily): string | undefined => {
    const ip = ips.find((each) => each.family === family);
    return ip === undefined ? undefined : formatIp(ip);
  };
  const fabric = nodeFabricOf(node);
  if (fabric === undefined) return { node: name, message: 'its annotation cannot be read' };
  const gateway = ipOf(cidr.ip.family);
  if (fabric.kind === 'host-gw')
    return gateway === undefined ? undefined : { ...base, kind: 'direct', gateway };
  if (input.isDirect && fabric.kind !== 'wireguard' && gateway !== undefined && input.isOnLink(gateway))
    return { ...base, kind: 'direct', gateway };
  const remote = ipOf(input.outerFamily);
  if (remote === undefined) return undefined;
  return tunnelTo({ ...base, remote }, fabric, input);
}

function tunnelTo(
  base: PathBase & { readonly remote: string },
  { kind, port, vni, mac, publicKey }: NodeFabric,
  { vxlan }: PathsInput,
): Path | PathProblem {
  const lacks = (what: string): PathProblem => ({ node: base.node, message: `does not say its ${what}` });
  switch (kind) {
    case 'vxlan':
      if (mac === undefined) return lacks('hardware address');
      if (vxlan.vni !== vni || vxlan.port !== port)
        return {
          node: base.node,
          message: `is in vxlan network ${vni} at port ${port}, this node in ${vxlan.vni} at ${vxlan.port}`,
        };
      return { ...base, kind, mac };
    case 'udp':
      return { ...base, kind, port };
    case 'wireguard':
      return publicKey === undefined ? lacks('key') : { ...base, kind, port, publicKey };
    case 'host-gw':
    default:
      return { node: base.node, message: 'has no tunnel' };
  }
}

/** The longest prefix of routes that has an address decides: it is a neighbour if that one has no gateway. */
export function isOnLink({ routes }: Pick<NetworkState, 'routes'>, ip: string): boolean {
  const address = parseIp(ip);
  if (address === undefined) return false;
  let best: { readonly prefix: number; readonly isDirect: boolean } | undefined;
  for (const { destination, gateway, linkIndex } of routes) {
    const cidr = destination === 'default' ? undefined : parseCidr(destination);
    if (cidr === undefined || !cidrContains(cidr, address)) continue;
    if (best === undefined || cidr.prefix > best.prefix)
      best = { prefix: cidr.prefix, isDirect: gateway === undefined && linkIndex !== undefined };
  }
  return best?.isDirect === true;
}

/** Kinds of devices that a node has: that by which it is reached, and those by which others are. */
export function kindsOf(own: FabricKind, nodes: readonly Node[]): ReadonlySet<TunnelKind> {
  const kinds = [own, ...nodes.map((node) => nodeFabricOf(node)?.kind)];
  return new Set(kinds.filter((kind) => kind !== undefined && kind !== 'host-gw'));
}

/** Where a node's device of a kind listens: as it says itself, or where only others are reached by it, as the first of them. */
export function endpointOf(
  kind: TunnelKind,
  own: NodeFabric,
  nodes: readonly Node[],
): Pick<NodeFabric, 'port' | 'vni'> {
  if (own.kind === kind) return own;
  const others = nodes.toSorted((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1));
  return others.map(nodeFabricOf).find((fabric) => fabric?.kind === kind) ?? own;
}

/** The node's own address in each of its ranges: the first, which no pod is given. Without prefix length. */
export function fabricIpsOf(node: Node): readonly string[] {
  return firstIpsOf(podCidrsOf(node));
}

export function firstIpsOf(cidrs: readonly string[]): readonly string[] {
  return cidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined ? [] : [formatIp(networkOf(cidr).ip)];
  });
}

/** The address of a list that is of a family. */
export function ipOfFamily(ips: readonly string[], family: IpFamily): string | undefined {
  return ips.find((ip) => familyOfIp(ip) === family);
}
