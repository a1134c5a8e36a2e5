/** A TUN device whose packets this process takes and gives, as whole packets of IP (Documentation/networking/tuntap.rst). */

export interface PacketDeviceOptions {
  readonly name: string;
  /** Path of the network namespace that it is made in. */
  readonly netns: string;
  /** A packet that the kernel routed to the device. */
  readonly onPacket: (packet: Buffer) => void;
}

/** Disposing it takes the device away. */
export interface PacketDevice extends AsyncDisposable {
  /** Gives the kernel a packet, as if it had come by the device; one that it does not take at once is lost. */
  write(packet: Uint8Array): void;
}

/** Packets that wait to be taken; what comes beyond is lost, as on a link. */
export const waitingPacketsMax = 1024;
