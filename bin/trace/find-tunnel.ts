/** What is wrong with the tunnel that a route leaves by, and why there is none. Pure. */
import type { NetworkFacts } from '#agent/network/facts/network-facts.ts';
import { internalIpsOf, podCidrsOf } from '#agent/network/fabric/fabric-plan.ts';
import { nodeFabricOf, plainFabric, type NodeFabric } from '#agent/network/fabric/node-fabric.ts';
import { computePaths, endpointOf, type TunnelKind } from '#agent/network/fabric/paths.ts';
import type { Node } from '#api/generated/objects.ts';
import { unreachable } from '#base/unreachable.ts';
import { cidrContains, familyOfIp, parseCidr, parseIp } from '#base/ip.ts';
import { factsOf, nameOf, stop, type Finding, type Observed } from './observed.ts';

export interface TunnelView {
  readonly route: NetworkFacts['routes'][number];
  /** Of the node that sends. */
  readonly facts: NetworkFacts;
  /** That it is for. */
  readonly node: Node;
  /** The packet's target. */
  readonly ip: string;
}

/** At the sending node, then at the other. */
export function findTunnelFault(kind: TunnelKind, view: TunnelView, seen: Observed): Finding | undefined {
  return ownFault(kind, view, seen) ?? farFault(kind, view, seen);
}

function ownFault(kind: TunnelKind, view: TunnelView, seen: Observed): Finding | undefined {
  switch (kind) {
    case 'vxlan':
      return vxlanFault(view);
    case 'wireguard':
      return wireguardFault(view);
    case 'udp':
      return closedFault(kind, view.facts, fabricOf(view.facts.node, seen).port);
    default:
      return unreachable(kind);
  }
}

/** The node must have the other end. */
function farFault(kind: TunnelKind, { node }: TunnelView, seen: Observed): Finding | undefined {
  const facts = factsOf(seen, nameOf(node));
  if (facts === undefined) return undefined;
  const link = facts.links.find((one) => tunnelKinds.get(one.kind ?? '') === kind);
  if (link?.isUp === false)
    return stop(
      'link-down',
      `interface ${link.name} of node ${facts.node} is down`,
      `ip link set ${link.name} up`,
    );
  if (link !== undefined)
    return kind === 'udp' ? closedFault(kind, facts, fabricOf(facts.node, seen).port) : undefined;
  const says = `node ${facts.node} has no ${kind} device, by which packets come to it`;
  return stop('tunnel-closed', says, `see the log of node ${facts.node}: fabric not as wanted`);
}

function fabricOf(name: string, { nodes }: Observed): NodeFabric {
  const node = nodes.find(({ metadata }) => metadata?.name === name);
  return (node === undefined ? undefined : nodeFabricOf(node)) ?? plainFabric;
}

/** In user space a tunnel is a socket of the agent's. */
function closedFault(kind: TunnelKind, { node, listeners }: NetworkFacts, port: number): Finding | undefined {
  // Where the node itself is reached by another kind, nobody says which port it has.
  if (port === 0 || listeners.some((one) => one.protocol === 'UDP' && one.port === port)) return undefined;
  const says = `nobody on node ${node} has UDP port ${port}, by which its ${kind} tunnel goes`;
  return stop('tunnel-closed', says, `see the log of node ${node}: udp relay`);
}

/** Whom the device sends to, and what it takes from whom, is by keys. */
function wireguardFault({ route, facts, node, ip }: TunnelView): Finding | undefined {
  const key = nodeFabricOf(node)?.publicKey;
  const peers = facts.tunnels.find(({ link }) => link === route.link)?.peers;
  const address = parseIp(ip);
  if (peers === undefined || address === undefined) return undefined;
  const name = nameOf(node);
  const peer = peers.find(({ publicKey }) => publicKey === key);
  const has = peer?.allowedIps.some((text) => {
    const cidr = parseCidr(text);
    return cidr !== undefined && cidrContains(cidr, address);
  });
  const lacks =
    peer === undefined
      ? `has no peer with the key of node ${name} (${key ?? 'which says none'})`
      : has !== true
        ? `does not send ${ip} to node ${name}, whose allowed addresses are ${peer.allowedIps.join(', ') || 'none'}`
        : peer.endpoint === undefined
          ? `does not know where node ${name} is`
          : undefined;
  if (lacks === undefined) return undefined;
  const remedy = `see the log of node ${facts.node}: wireguard changed; peers follow the annotation podwright/fabric of Nodes`;
  return stop('peer-missing', `${route.link ?? ''} of node ${facts.node} ${lacks}`, remedy);
}

/** Where what two nodes say of themselves makes no path between them. */
export function whyNoRoute(first: string, node: Node, { nodes }: Observed): Finding | undefined {
  const own = nodes.find(({ metadata }) => metadata?.name === first);
  if (own === undefined) return undefined;
  const others = nodes.filter((each) => each !== own);
  const { problems } = computePaths({
    ...{ nodes, ownName: first, isDirect: false, isOnLink: () => false },
    outerFamily: familyOfIp(internalIpsOf(own)[0] ?? '') ?? 4,
    vxlan: endpointOf('vxlan', nodeFabricOf(own) ?? plainFabric, others),
  });
  const problem = problems.find((each) => each.node === nameOf(node));
  if (problem === undefined) return undefined;
  const says = `node ${first} has no way to the pods of node ${problem.node} (${podCidrsOf(node).join(', ')}), which ${problem.message}`;
  return stop(
    'fabric-mismatch',
    says,
    'one --fabric for all nodes, or the ConfigMap kube-system/podwright-fabric',
  );
}

/** By the kind of link (IFLA_INFO_KIND). */
export const tunnelKinds: ReadonlyMap<string, TunnelKind> = new Map([
  ['vxlan', 'vxlan'],
  ['tun', 'udp'],
  ['wireguard', 'wireguard'],
]);

/** By vxlan a gateway is an address of the other node's device: whose frames, and where those go, has been written down. */
function vxlanFault({ route, facts, node }: TunnelView): Finding | undefined {
  const tunnel = facts.tunnels.find(({ link }) => link === route.link);
  const name = nameOf(node);
  const mac = tunnel?.neighbours.find(({ address }) => address === route.gateway)?.mac;
  const remedy = `see the log of node ${facts.node}: vxlan changed; it writes them anew when they go`;
  const wanted = nodeFabricOf(node)?.mac;
  if (mac === undefined || (wanted !== undefined && mac !== wanted)) {
    const has = mac === undefined ? 'no neighbour' : `neighbour ${mac}, not ${wanted ?? ''},`;
    return stop(
      'neighbour-missing',
      `${route.link ?? ''} of node ${facts.node} has ${has} for ${route.gateway ?? ''}, the device of node ${name}`,
      remedy,
    );
  }
  const remotes = (tunnel?.forwarding ?? []).filter((entry) => entry.mac === mac).map(({ remote }) => remote);
  if (remotes.some((remote) => internalIpsOf(node).includes(remote))) return undefined;
  const goes = remotes.length === 0 ? 'nowhere' : `to ${remotes.join(', ')}`;
  const says = `${route.link ?? ''} of node ${facts.node} sends frames for ${mac} ${goes}, and node ${name} is ${internalIpsOf(node).join(', ')}`;
  return stop('forwarding-missing', says, remedy);
}
