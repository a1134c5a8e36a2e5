/**
 * The nftables port: values for tables, chains, sets, maps, rules and elements; one batch is one kernel transaction.
 * Rules are lists of expressions that the encoder turns into nfnetlink attributes and `render` into `nft` text.
 */
import type { NetnsRef } from '#native/netlink/netlink.ts';

export type Family = 'ip' | 'ip6' | 'inet' | 'bridge';

/** The data types we use, with nft's names; they fix width and printing. */
export type NftType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'ether_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'mark'
  | 'integer'
  | 'ifname'
  | 'verdict';

/**
 * A value: dotted address, hardware address, port or protocol number, interface name, mark. `integer` is 4 bytes host order (numgen output).
 * A prefix `10.0.0.0/24` or a range {from,to} is allowed in interval sets and in compares.
 */
export type NftValue = string | number;

export type Verdict =
  | { readonly kind: 'accept' | 'drop' | 'continue' | 'return' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export interface NftElement {
  /** One value per type of the set's key (concatenation). */
  readonly key: readonly NftValue[];
  /** One value per type of the map's data; a verdict for a verdict map. */
  readonly data?: readonly NftValue[] | Verdict;
  readonly timeoutMs?: number;
}

export interface NftSet {
  readonly name: string;
  readonly keyTypes: readonly NftType[];
  /** Present: a map. ['verdict'] makes it a verdict map. */
  readonly dataTypes?: readonly NftType[];
  readonly interval?: boolean;
  /** Elements can be added by packets (session affinity), with this default timeout. */
  readonly dynamic?: { readonly timeoutMs: number };
}

export interface NftChain {
  readonly name: string;
  /** Present: a base chain. priority: as in nft, e.g. dstnat = -100, filter = 0, srcnat = 100. */
  readonly hook?: {
    readonly type: 'nat' | 'filter' | 'route';
    readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
    readonly priority: number;
    readonly policy?: 'accept' | 'drop';
  };
}

/** What a register can be loaded from. Each loads one value of its type, in its own 4-byte-aligned register slot. */
export type NftLoad =
  | {
      readonly load: 'ip saddr' | 'ip daddr' | 'ip6 saddr' | 'ip6 daddr';
      /** Only so many of the first bits; the others are zero. */
      readonly prefixLength?: number;
    }
  | { readonly load: 'ether saddr' | 'ip protocol' | 'th sport' | 'th dport' | 'tcp flags' }
  | { readonly load: 'meta l4proto' | 'meta mark' | 'meta iifname' | 'meta oifname' }
  | { readonly load: 'ct state' | 'ct mark' | 'ct status' | 'fib daddr type' }
  | { readonly load: 'numgen random' | 'numgen inc'; readonly modulus: number };

export type NftExpr =
  | {
      readonly expr: 'match';
      readonly left: NftLoad;
      readonly op: '==' | '!=';
      readonly right: NftValue;
      readonly mask?: number;
    }
  | {
      readonly expr: 'lookup';
      readonly key: readonly NftLoad[];
      readonly set: string;
      readonly negate?: boolean;
    }
  | { readonly expr: 'vmap'; readonly key: readonly NftLoad[]; readonly map: string }
  /** `dnat to <key> map @map`: the map's data is (address, port). */
  | { readonly expr: 'dnat map'; readonly key: readonly NftLoad[]; readonly map: string }
  | { readonly expr: 'dnat' | 'snat'; readonly address: string; readonly port?: number }
  | { readonly expr: 'masquerade'; readonly fullyRandom?: boolean }
  | { readonly expr: 'redirect'; readonly port: number }
  | { readonly expr: 'mark set'; readonly value: number; readonly how?: 'or' | 'xor' } // `how`: mark | value, mark ^ value
  | {
      readonly expr: 'update';
      readonly set: string;
      readonly key: readonly NftLoad[];
      readonly data?: readonly NftLoad[];
    }
  | { readonly expr: 'counter'; readonly name?: string } // with a name: that of the table's counters
  | { readonly expr: 'notrack' } // before conntrack has seen the packet: hooks of a priority below -200
  | { readonly expr: 'reject' } // tcp reset for tcp, icmp port-unreachable otherwise
  | { readonly expr: 'verdict'; readonly verdict: Verdict };

export interface NftRule {
  readonly exprs: readonly NftExpr[];
  readonly comment?: string;
}

/** A named counter of a table, and what it has counted. */
export interface NftCounter {
  /** At most 255 bytes (NFT_OBJ_MAXNAMELEN of linux/netfilter/nf_tables.h): letters, digits and `/-_.`, the first a letter. */
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

/** A whole table as a value. Order of chains and rules is meaning; of sets and elements not. */
export interface NftTable {
  readonly family: Family;
  readonly name: string;
  readonly sets: readonly NftSet[];
  readonly chains: readonly (NftChain & { readonly rules: readonly NftRule[] })[];
  readonly elements: Readonly<Record<string, readonly NftElement[]>>; // by set name
  readonly counters?: readonly NftCounter[];
}

/** One change inside a transaction; `table` names family and table. */
export type NftOp =
  | { readonly op: 'replaceTable'; readonly table: NftTable } // add, delete, add: whatever was there is gone, atomically
  | { readonly op: 'ensureTable'; readonly table: TableRef }
  | { readonly op: 'removeTable'; readonly table: TableRef } // succeeds if gone
  | { readonly op: 'addSet'; readonly table: TableRef; readonly set: NftSet }
  | { readonly op: 'removeSet'; readonly table: TableRef; readonly name: string }
  | { readonly op: 'addCounter'; readonly table: TableRef; readonly counter: NftCounter }
  | { readonly op: 'removeCounter'; readonly table: TableRef; readonly name: string }
  | { readonly op: 'addChain'; readonly table: TableRef; readonly chain: NftChain }
  | { readonly op: 'flushChain'; readonly table: TableRef; readonly name: string }
  | { readonly op: 'removeChain'; readonly table: TableRef; readonly name: string }
  | { readonly op: 'addRule'; readonly table: TableRef; readonly chain: string; readonly rule: NftRule }
  | {
      readonly op: 'addElements';
      readonly table: TableRef;
      readonly set: NftSet;
      readonly elements: readonly NftElement[];
    }
  | {
      readonly op: 'removeElements';
      readonly table: TableRef;
      readonly set: NftSet;
      readonly elements: readonly NftElement[];
    };

export interface TableRef {
  readonly family: Family;
  readonly name: string;
}

/** Flows by where their first packet went and who answers. */
export interface ConntrackMatch {
  /** IP protocol number. */
  readonly protocol: number;
  /** Absent: whatever address it went to; then `only` says the family. */
  readonly originalDestination?: string;
  readonly port: number;
  readonly replies: { readonly only: readonly FlowEnd[] } | { readonly except: readonly FlowEnd[] };
}

export interface FlowEnd {
  readonly ip: string;
  readonly port: number;
}

/** A connection as the kernel tracks it, all translation undone. */
export interface Flow {
  /** IP protocol number. */
  readonly protocol: number;
  /** Who began it. */
  readonly source: string;
  /** Who answers. */
  readonly target: string;
  /** The port of who answers; undefined where the protocol has none. */
  readonly port: number | undefined;
  readonly family: number; // AF_INET, AF_INET6
  /** As the kernel wrote them: they name this very entry in a deletion. */
  readonly identity: readonly (readonly [type: number, value: Uint8Array])[];
}

export interface Nft {
  /** All or nothing. @throws E_EXISTS, E_NOT_FOUND, E_UNSUPPORTED, E_KERNEL; detail { index, errno } of the op refused. */
  commit(netns: NetnsRef, ops: readonly NftOp[]): Promise<void>;
  /** Whether a table is there (repair after somebody removed it). */
  hasTable(netns: NetnsRef, table: TableRef): Promise<boolean>;
  /** How many rules a table has in the kernel's count (`kernelRuleCount`); 0 if it is not there. */
  ruleCount(netns: NetnsRef, table: TableRef): Promise<number>;
  /** A number that is another after each transaction in the namespace, whoever commits it. */
  generation(netns: NetnsRef): Promise<number>;
  /** The named counters of a table; none if it is not there. */
  counters(netns: NetnsRef, table: TableRef): Promise<readonly NftCounter[]>;
  /** The flows that one of the addresses began or answers, by one dump of each family that is among them. */
  flows(netns: NetnsRef, addresses: readonly string[]): Promise<readonly Flow[]>;
  /** Has the kernel forget flows: their next packet begins a new one. How many were still there. */
  removeFlows(netns: NetnsRef, flows: readonly Flow[]): Promise<number>;
  /** Deletes the conntrack entries that one of the matches means, by one dump of each family; how many were deleted. */
  flushConntrack(netns: NetnsRef, matches: readonly ConntrackMatch[]): Promise<number>;
}
