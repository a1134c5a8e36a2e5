/**
 * Packets between a TUN device and UDP, in user space: what the kernel routes to the device goes in a datagram, as it is, to the host whose
 * network it is for; what comes in a datagram of such a host goes to the kernel. Nothing is kept: what cannot go at once is dropped, as
 * a link does. One thread works on it, which the kernel's own buffers (txqueuelen, SO_RCVBUF) feed.
 */

/** Another host. */
export interface RelayPeer {
  /** Where its datagrams come from, and ours go to. */
  readonly ip: string;
  /** 0: nothing is sent to it; what comes from it is taken all the same. */
  readonly port: number;
  /** Its networks: what goes there is for it, and what comes from it must come from there. */
  readonly networks: readonly string[];
}

/** What became of packets, since the relay began. */
export interface RelayCounts {
  readonly sent: number;
  readonly received: number;
  /** To no network that is known, or of no host's. */
  readonly refused: number;
  /** The kernel did not take them. */
  readonly dropped: number;
}

export interface RelayOptions {
  /** Of the device, which stays when the relay ends. */
  readonly name: string;
  readonly local: string;
  readonly port: number;
  /** Path of the network namespace; absent: the process's own. */
  readonly netns?: string;
  /** Told when the thread ended without having been asked to: somebody removed the device. */
  readonly onDeath?: () => void;
}

/** Disposing it ends the thread. */
export interface Relay extends AsyncDisposable {
  /** In force for the next packet. */
  setPeers(peers: readonly RelayPeer[]): void;
  counts(): RelayCounts;
}

/** @throws E_BUSY where the port or the device is taken, E_UNSUPPORTED where the kernel has no TUN devices */
export type OpenRelay = (options: RelayOptions) => Promise<Relay>;
