import type { Clock } from '#base/clock.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';
import type { LinkInfo, Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import type { ClusterNetwork } from '#agent/network/cluster-network.ts';
import type { ServiceNetworks } from '#agent/network/service-networks.ts';
import type { FabricChoice } from './choice.ts';
import type { Path, PathProblem } from './paths.ts';
import type { Tunnel } from './tunnel.ts';

export interface FabricOptions {
  readonly nodeName: string;
  readonly nodes: Informer<Node>;
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly clock: Clock;
  readonly log: Logger;
  /** Service addresses get a route, so that the node's own processes can send to them at all. */
  readonly networks: readonly ClusterNetwork[];
  /** Those with what is added while the agent runs; without it, `networks` are all that there will be. */
  readonly serviceNetworks?: ServiceNetworks;
  readonly nodeIps: readonly string[];
  /** The networks of the nodes' link, e.g. `10.89.0.0/24`. */
  readonly linkCidrs?: readonly string[];
  /** Whether pods leave the cluster with the node's address, rather than with their own. */
  readonly hasEgress: boolean;
  /** By what packets go from node to node; default: plain routes. */
  readonly choice?: FabricChoice;
  /** The kinds of tunnels that this node can have. */
  readonly tunnels?: readonly Tunnel[];
  /** The node's WireGuard key, base64; undefined: it has no such device. */
  readonly publicKey?: () => string | undefined;
  /** Writes the node's annotation. */
  readonly publish?: (annotation: string, text: string) => Promise<void>;
  /** Told of what became of a look: how each node is reached, and the largest packet of a pod. */
  readonly onLook?: (state: FabricState) => Promise<void>;
}

/** What the fabric is after a look. */
export interface FabricState {
  /** The node's, as the look found them. */
  readonly links: readonly LinkInfo[];
  readonly paths: readonly Path[];
  /** Of nodes that are not reached, or not as they ask; `node` is '' for what is this node's own. */
  readonly problems: readonly PathProblem[];
  /** Of pods' packets, in bytes. */
  readonly podMtu: number;
  /** The largest packet that a path has room for. */
  readonly mtuOf: (path: Path) => number;
}

/** What rules must know of tunnels. */
export interface TunnelFacts {
  readonly nodes: ReadonlySet<string>;
  readonly vxlanPort: number | undefined;
  readonly outerFamily: IpFamily;
}
