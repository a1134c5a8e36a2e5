/** Addresses that a host answers for on a link without having them: who asks for one by ARP or NDP is sent here. */
import type { IpFamily } from '#base/ip.ts';

/** Somebody else of the link says that it has an address. */
export interface HeardClaim {
  readonly address: string;
  readonly mac: string;
}

export interface AnnouncerOptions {
  readonly link: AnnouncerLink;
  /** Path of the network namespace that the link is in; absent: the process's own. */
  readonly netns?: string;
  /** Of addresses that `watch` names. */
  readonly onHeard: (claim: HeardClaim) => void;
  /** Told when it ended without having been asked to: the link is gone. */
  readonly onDeath?: () => void;
}

export interface AnnouncerLink {
  readonly index: number;
  readonly mac: string;
  /** The host's own, as which it asks. */
  readonly ips: Readonly<Partial<Record<IpFamily, string>>>;
}

/** Nobody answers for its addresses once the process has ended, however it did. */
export interface Announcer extends AsyncDisposable {
  /** Answers for these from now on. */
  setAnswered(addresses: ReadonlySet<string>): void;
  /** Claims of these by others are told. */
  setWatched(addresses: ReadonlySet<string>): void;
  /** Tells all of the link that the address is here. */
  announce(address: string): void;
  /** Asks who has it: all of the link, or one alone. */
  ask(address: string, toMac?: string): void;
}

/** @throws E_PERMISSION, E_NOT_FOUND where link or namespace are gone */
export type OpenAnnouncer = (options: AnnouncerOptions) => Promise<Announcer>;
