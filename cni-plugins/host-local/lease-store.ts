import type { CniAttachment } from '#api/cni/network-config.ts';
import type { Ip } from '#base/ip.ts';

/** Which addresses of a network are taken, and by whom. */
export interface LeaseStore {
  /** Runs `work` while nobody else, in this process or another, changes this network's leases. */
  withLock<T>(network: string, signal: AbortSignal, work: (leases: Leases) => Promise<T>): Promise<T>;
}

export interface Leases {
  /** False if somebody has the address. */
  reserve(ip: Ip, owner: CniAttachment, rangeIndex: number): Promise<boolean>;
  lastReserved(rangeIndex: number): Promise<Ip | undefined>;
  isTaken(ip: Ip): Promise<boolean>;
  ownedBy(owner: CniAttachment): Promise<readonly Ip[]>;
  release(ips: readonly Ip[]): Promise<void>;
  /** Frees the addresses whose owner does not pass. */
  retain(isKept: (owner: CniAttachment) => boolean): Promise<void>;
  list(): Promise<readonly Ip[]>;
}
