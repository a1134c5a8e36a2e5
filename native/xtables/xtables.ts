/**
 * The port to iptables: rules as values, and Debian's programs iptables-save and iptables-restore, which speak to whichever of
 * the kernel's two packet filters the host has chosen. One table of one family is the unit that changes at once.
 */
import type { IpFamily } from '#base/ip.ts';

export type XtTableName = 'raw' | 'nat' | 'filter';

export type XtProtocol = 'tcp' | 'udp' | 'sctp';

/** What a rule asks of a packet; the names are those of iptables' options and extensions (iptables-extensions(8)). */
export type XtMatch =
  | { readonly match: 'source' | 'destination'; readonly network: string; readonly isNot?: boolean } // a CIDR
  | { readonly match: 'in-interface'; readonly name: string; readonly isNot?: boolean }
  | { readonly match: 'protocol'; readonly protocol: XtProtocol; readonly port?: number } // destination port
  | { readonly match: 'conntrack'; readonly state: 'NEW' | 'INVALID' | 'RELATED,ESTABLISHED' }
  /** Whether an address is one of the host's (LOCAL). */
  | { readonly match: 'addrtype'; readonly of: 'src' | 'dst'; readonly isNot?: boolean }
  | { readonly match: 'mark'; readonly value: number; readonly isNot?: boolean } // all bits of the value
  | { readonly match: 'statistic'; readonly probability: number } // mode random
  /** Whether the source was put on the list in the last seconds. */
  | { readonly match: 'recent-check'; readonly list: string; readonly seconds: number }
  /** Puts the source on the list, and holds. */
  | { readonly match: 'recent-set'; readonly list: string };

export type XtTarget =
  | { readonly target: 'chain'; readonly chain: string }
  | { readonly target: 'ACCEPT' | 'DROP' | 'RETURN' | 'MASQUERADE' } // the last with --random-fully
  /** By an ICMP error, of which the kernel sends few to anyone (icmp_ratelimit); of a rule for TCP by a reset. */
  | { readonly target: 'REJECT'; readonly with?: 'tcp-reset' }
  | { readonly target: 'DNAT'; readonly address: string; readonly port: number }
  | { readonly target: 'MARK'; readonly how: 'or' | 'xor'; readonly value: number };

export interface XtRule {
  readonly comment?: string; // 255 bytes at most, without quotes
  readonly matches: readonly XtMatch[];
  readonly to: XtTarget;
}

export interface XtChain {
  readonly table: XtTableName;
  readonly name: string; // 28 bytes at most (XT_EXTENSION_MAXNAMELEN of linux/netfilter/x_tables.h)
  readonly rules: readonly XtRule[];
}

/** Chains of a table as `iptables-save` tells them: of each its rules, every one what follows `-A CHAIN `. */
export type SavedTable = ReadonlyMap<string, readonly string[]>;

export type SavedTables = ReadonlyMap<string, SavedTable>;

export interface Xtables {
  /** Whether the family may have tables; costs no program. */
  hasTables(family: IpFamily): Promise<boolean>;
  /** All tables that there are; making none. @throws E_UNSUPPORTED when the host has no such program; E_KERNEL, E_TIMEOUT */
  save(family: IpFamily): Promise<SavedTables>;
  /**
   * Carries out the text of iptables-restore(8) with `--noflush`: each of its tables at once, and nothing that it does not name.
   * @throws E_UNSUPPORTED, E_TIMEOUT; E_KERNEL with the program's words
   */
  restore(family: IpFamily, text: string): Promise<void>;
}
