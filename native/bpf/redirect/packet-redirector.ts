/** The port that takes packets of connections between pods past the node's own network stack (bpf(2) on interfaces; tcx, since 6.6). */

/** A pod as its node sees it. */
export interface PodLink {
  readonly ips: readonly string[];
  /** The node's end of its cable, in this thread's network namespace. */
  readonly ifname: string;
  /** Of the pod's own end. */
  readonly mac: string;
}

/** Pods of another node, reached by a neighbour without a tunnel. */
export interface PodRoute {
  /** CIDR */
  readonly destination: string;
  readonly gateway: string;
  readonly linkIndex: number;
}

/**
 * A connection of TCP begins by the node's stack, where rules see it and conntrack knows it; it ends there, too. What is between goes from
 * cable to cable: from the pod that began it, and back where both are here. Packets to a Service, or of one, are never taken: their
 * addresses are to be translated. Programs and maps belong to the cables: they stay as they are when the agent ends.
 */
export interface PacketRedirector extends Disposable {
  /**
   * Both ends must be let in before a connection between them begins. Safe to repeat.
   * @throws E_UNSUPPORTED where this kernel cannot (a message says why), E_NOT_FOUND where there is no such interface
   */
  admit(pod: PodLink): void;
  /** All of its packets go by the node's stack from now on, also of connections that there are. Safe to repeat, and of an interface that is gone. */
  withdraw(pod: PodLink): void;
  /** These and no others. */
  setRoutes(routes: readonly PodRoute[]): void;
}

/** Entries of the maps. Of flows the oldest give way: their packets go by the node's stack. */
export const podsMax = 4_096;
export const routesMax = 16_384;
export const flowsMax = 32_768;
