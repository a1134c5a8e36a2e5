/**
 * The port that sends what sockets send to Services to a backend, when they connect or by the datagram, so that no packet has to be
 * translated (bpf(2)).
 */

/** An IP address in text and a port. */
export interface SocketEnd {
  readonly ip: string;
  readonly port: number;
}

/** Of TCP, connections; of UDP, connected sockets and datagrams of others. */
export type LedProtocol = 'tcp' | 'udp';

/** What became of connected sockets of UDP whose backend is none of their frontend's any more. */
export interface Moved {
  readonly count: number;
  /** Why some stay where they are. */
  readonly failures: readonly string[];
}

export const notMoved: Moved = { count: 0, failures: [] };

/**
 * What is for the frontend goes to one of the backends, each as likely. All datagrams of one socket go to one while that is among them, and
 * the socket is told that answers come from the frontend. A datagram is left as it is where its socket could not tell whose answer one is:
 * another frontend of the socket has the same backend, or the socket sends to the backend itself, too; and for a fifth frontend.
 */
export interface BalancedFrontend {
  readonly protocol: LedProtocol;
  readonly frontend: SocketEnd;
  /** Of the frontend's family; none: what is for it is left as it is. */
  readonly backends: readonly SocketEnd[];
}

/**
 * Holds for the processes of a cgroup and those below, whatever their network namespace. Programs and maps belong to the cgroup: they stay
 * as they are when the agent ends, also when it is killed, and go with the cgroup.
 */
export interface SocketBalancer extends Disposable {
  /**
   * These frontends and no others. Made beside what holds, and put into its place in one step.
   * @throws E_UNSUPPORTED where this kernel or this host cannot (a message says why), E_NOT_FOUND where the cgroup is gone
   */
  replace(frontends: readonly BalancedFrontend[]): Promise<Moved>;
  /**
   * Frontends that changed; a connection finds either what was or what is, and connected sockets of UDP have left what is gone. What holds after it threw is known to nobody: replace() follows.
   * @throws E_INTERNAL before replace(); E_LIMIT, E_KERNEL
   */
  change(frontends: readonly BalancedFrontend[]): Promise<Moved>;
  /** Connections are left as they are again; programs of others stay. Safe to repeat. @throws E_UNSUPPORTED */
  remove(): Promise<Moved>;
}

/** Entries of the maps: beyond it a map refuses (E_LIMIT). */
export const frontendsMax = 65_536;
export const backendsMax = 262_144;
