/** What a node sees of its own network: what nobody can tell from the API. Of a few pods, and no names but those of interfaces. */
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import type { LinkNeighbours, RouteInfo } from '#native/netlink/netlink.ts';
import type { WireGuardPeer } from '#native/wireguard/wireguard.ts';
import type { TableFact } from './table-fact.ts';

export type TransportProtocol = 'TCP' | 'UDP' | 'SCTP';

/** A socket that takes what comes to it. */
export interface Listener {
  readonly protocol: TransportProtocol;
  /** `0.0.0.0` and `::`: all. */
  readonly address: string;
  readonly port: number;
}

export interface LinkFact {
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
  /** IFLA_INFO_KIND; absent: a device of the machine's. */
  readonly kind?: string;
}

/** What the device of a tunnel was told of the other nodes: neighbours and entries one of vxlan, peers one of WireGuard. */
export interface TunnelFact extends LinkNeighbours {
  readonly link: string;
  readonly peers?: readonly WireGuardPeer[];
}

export interface PodNetworkFacts {
  readonly uid: string;
  readonly links: readonly LinkFact[];
  readonly listeners: readonly Listener[];
}

export interface NetworkFacts {
  readonly node: string;
  readonly clusterDomain: string;
  readonly clusterDns: readonly string[];
  /** Whether the node passes packets on, by family. */
  readonly isForwarding: { readonly 4: boolean; readonly 6: boolean };
  /** Tracked connections, and how many there may be; undefined: the kernel tracks none. */
  readonly conntrack: { readonly count: number; readonly max: number } | undefined;
  readonly links: readonly LinkFact[];
  readonly routes: readonly (Pick<RouteInfo, 'destination' | 'gateway' | 'isUnreachable'> & {
    readonly link?: string;
  })[];
  readonly tunnels: readonly TunnelFact[];
  /** Absent: an agent of an earlier release. */
  readonly proxyMode?: ProxyMode;
  readonly tables: readonly TableFact[];
  /** EndpointSlices up to it are in the rules. */
  readonly appliedRevision: number;
  /** Of the node's own network. */
  readonly listeners: readonly Listener[];
  readonly pods: readonly PodNetworkFacts[];
}
