/** The WireGuard port: keys and peers of a kernel device, by generic netlink (linux/wireguard.h). The device itself is a link. */
import type { NetnsRef } from '#native/netlink/netlink.ts';

/** Keys are 32 bytes in base64, as wg(8) writes them. */
export interface WireGuardPeer {
  readonly publicKey: string;
  /** Where it is; undefined: nothing is known until it speaks. */
  readonly endpoint: { readonly ip: string; readonly port: number } | undefined;
  /** What may come from it, and goes to it; of a device each address belongs to one peer. `10.244.1.0/24` */
  readonly allowedIps: readonly string[];
}

export interface WireGuardDevice {
  /** undefined: it has no key yet. */
  readonly publicKey: string | undefined;
  readonly listenPort: number;
  readonly peers: readonly WireGuardPeer[];
}

export interface WireGuardPeerChange {
  readonly publicKey: string;
  /** Then the rest does not matter. */
  readonly isRemoved?: boolean;
  readonly endpoint?: { readonly ip: string; readonly port: number };
  /** All that it is to have; undefined: as it is. */
  readonly allowedIps?: readonly string[];
}

/** What is not given stays as it is. */
export interface WireGuardChange {
  readonly privateKey?: string;
  readonly listenPort?: number;
  readonly peers: readonly WireGuardPeerChange[];
}

export interface WireGuard {
  /** @throws E_NOT_FOUND where there is no such link, E_UNSUPPORTED where the kernel knows no WireGuard or the link is none */
  device(netns: NetnsRef, name: string): Promise<WireGuardDevice>;
  /** In order; what came before a failure stays. @throws as device() */
  change(netns: NetnsRef, name: string, change: WireGuardChange): Promise<void>;
}
