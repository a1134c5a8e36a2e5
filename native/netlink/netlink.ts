/**
 * The rtnetlink port: a network namespace is changed by an ordered list of NetOps (plain data, so that a CNI plugin's plan
 * is a value), applied in as few sends as the kernel allows. The real one runs on the Worker thread that owns all
 * rtnetlink, nfnetlink and namespace work.
 */

/** A network namespace: a path to a bind mount (`/run/netns/x`, `/proc/<pid>/ns/net`), or the one the process lives in. */
export type NetnsRef = { readonly kind: 'own' } | { readonly kind: 'path'; readonly path: string };

export const ownNetns: NetnsRef = { kind: 'own' };

export type LinkKind =
  | { readonly kind: 'bridge' }
  /** The peer is created inside `peerNetns` (default: the same namespace) with `peerName` and, where given, `peerMac`. */
  | {
      readonly kind: 'veth';
      readonly peerName: string;
      readonly peerNetns?: NetnsRef;
      readonly peerMac?: string;
    }
  | {
      readonly kind: 'vxlan';
      readonly vni: number;
      readonly local: string;
      /** The link that it leaves by, with which it goes; without, the way is found by routes. */
      readonly dev?: string;
      readonly port: number;
      /** Default: it learns where addresses are from what comes. */
      readonly isLearning?: boolean;
      /** Whether what carries the frames has a UDP checksum, over IPv4; default: it has. Over IPv6 it always has. */
      readonly hasChecksum?: boolean;
    }
  /** Its keys and peers are another matter: native/wireguard. */
  | { readonly kind: 'wireguard' }
  /** On the link `dev` of the namespace that the op is applied in. */
  | {
      readonly kind: 'macvlan';
      readonly dev: string;
      readonly mode: MacvlanMode;
      /** How many broadcasts wait for the links of `dev` (IFLA_MACVLAN_BC_QUEUE_LEN, since 5.11). */
      readonly broadcastQueueLength?: number;
    }
  | { readonly kind: 'ipvlan'; readonly dev: string; readonly mode: IpvlanMode }
  | { readonly kind: 'vlan'; readonly dev: string; readonly id: number }
  | { readonly kind: 'dummy' | 'ifb' }
  | { readonly kind: 'vrf'; readonly table: number };

/** MACVLAN_MODE_* of linux/if_link.h, by ip(8)'s names. */
export type MacvlanMode = 'private' | 'vepa' | 'bridge' | 'passthru';
/** IPVLAN_MODE_*. */
export type IpvlanMode = 'l2' | 'l3' | 'l3s';

/** tc-tbf(8): bytes a second, the most at once, and how many wait. */
export interface TokenBucket {
  readonly kind: 'tbf';
  readonly rateBytes: number;
  readonly burstBytes: number;
  readonly limitBytes: number;
}

/** tc-htb(8): packets are of classes, each with a rate; what no filter leads to one is of `defaultClass`. */
export interface ClassQueue {
  readonly kind: 'htb';
  readonly defaultClass: number;
}

/**
 * One change. `ensure*` is idempotent, `remove*` succeeds if the thing is gone, `add*` fails with E_EXISTS if it is there.
 * Addresses are `10.0.0.2/24`, destinations `10.0.1.0/24` or `default`; mtu in bytes.
 */
export type NetOp =
  | {
      readonly op: 'addLink';
      readonly name: string;
      readonly link: LinkKind;
      readonly mtu?: number;
      readonly mac?: string;
      /** Where it is made; by default where the op is applied. */
      readonly netns?: NetnsRef;
    }
  | {
      readonly op: 'ensureLink';
      readonly name: string;
      readonly link: LinkKind;
      readonly mtu?: number;
      readonly mac?: string;
    }
  | { readonly op: 'removeLink'; readonly name: string }
  | {
      readonly op: 'setLink';
      readonly name: string;
      readonly up?: boolean;
      readonly master?: string | null; // null: no master
      readonly mtu?: number;
      readonly mac?: string;
      readonly rename?: string;
      readonly moveTo?: NetnsRef;
      readonly promiscuous?: boolean;
      readonly allMulticast?: boolean;
      readonly txQueueLength?: number; // packets
      readonly alias?: string;
    }
  | {
      readonly op: 'setBridgePort';
      readonly name: string;
      readonly hairpin?: boolean;
      readonly isolated?: boolean;
    }
  /** Whether a bridge keeps VLANs apart: each port is in VLAN 1, its native one, until it is told otherwise. */
  | { readonly op: 'setBridge'; readonly name: string; readonly vlanFiltering: boolean }
  /** VLANs (1 to 4094) of a port of a bridge, from `first` to `last`; native: what has no tag is of it, on the way in and out. */
  | {
      readonly op: 'addBridgeVlans';
      readonly name: string;
      readonly first: number;
      readonly last?: number;
      readonly isNative?: boolean;
    }
  | {
      readonly op: 'removeBridgeVlans';
      readonly name: string;
      readonly first: number;
      readonly last?: number;
    }
  /** `detectsDuplicates`: an address of IPv6 is not used until nobody of the link said that it has it (RFC 4862). */
  | {
      readonly op: 'ensureAddress';
      readonly name: string;
      readonly address: string;
      readonly detectsDuplicates?: boolean;
    }
  | { readonly op: 'removeAddress'; readonly name: string; readonly address: string }
  | {
      readonly op: 'ensureRoute'; // replaces a route to the same destination (NLM_F_REPLACE)
      readonly destination: string;
      readonly gateway?: string;
      readonly dev?: string;
      readonly isOnLink?: boolean; // the gateway is a neighbour on `dev`, whatever other routes say (RTNH_F_ONLINK)
      readonly scope?: 'global' | 'link' | 'host';
      readonly source?: string;
      readonly mtu?: number;
      readonly advmss?: number; // the largest segment of TCP that is asked for, bytes
      readonly type?: 'unicast' | 'blackhole' | 'unreachable' | 'local';
      readonly protocol?: number; // RTPROT_*; ours is 112 ("podwright") so that repair touches only our routes
      readonly table?: number; // the main one without
      readonly priority?: number; // the lowest is taken
    }
  | {
      readonly op: 'removeRoute';
      readonly destination: string;
      readonly gateway?: string;
      readonly dev?: string;
      readonly table?: number;
    }
  /** A neighbour that nobody has to be asked about and that does not age (NUD_PERMANENT); replaces what was known of the address. */
  | {
      readonly op: 'ensureNeighbour';
      readonly name: string;
      readonly address: string;
      readonly mac: string;
    }
  | { readonly op: 'removeNeighbour'; readonly name: string; readonly address: string }
  /** Frames to `mac` are sent by a vxlan device to `remote`, and to nowhere else; bridge(8) fdb. */
  | {
      readonly op: 'ensureForwarding';
      readonly name: string;
      readonly mac: string;
      readonly remote: string;
    }
  | { readonly op: 'removeForwarding'; readonly name: string; readonly mac: string; readonly remote: string }
  /** Packets from `source` (CIDR) are routed by `table`; ip-rule(8). */
  | { readonly op: 'ensureRule' | 'removeRule'; readonly source: string; readonly table: number }
  /** A TAP device that stays when nobody has it open; owner and group may open it. linux/if_tun.h */
  | {
      readonly op: 'addTap';
      readonly name: string;
      readonly owner?: number;
      readonly group?: number;
      readonly multiQueue?: boolean;
    }
  /** What leaves by a link, or for `ingress`, a place for what comes in. Replaces what was there. */
  | {
      readonly op: 'setQueue';
      readonly name: string;
      readonly queue: TokenBucket | ClassQueue | { readonly kind: 'ingress' };
    }
  /** A class of the link's ClassQueue: bytes a second, and the most at once; without, what the rate needs. */
  | {
      readonly op: 'addQueueClass';
      readonly name: string;
      readonly id: number; // from 1 to 65535
      readonly rateBytes: number;
      readonly burstBytes?: number;
    }
  /** What comes from, or goes to, a network (CIDR) is of a class of the link's ClassQueue. */
  | {
      readonly op: 'addQueueFilter';
      readonly name: string;
      readonly match: 'source' | 'target';
      readonly network: string;
      readonly to: number; // the class
    }
  /** All that comes in by a link leaves by `to` instead; needs the queue `ingress`, or another's `clsact`. */
  | { readonly op: 'redirectIngress'; readonly name: string; readonly to: string }
  /** `net.ipv4.ip_forward` = `1`; written through /proc/sys of that namespace. Optional: nothing where the kernel has no such key. */
  | {
      readonly op: 'setSysctl';
      readonly key: string;
      readonly value: string;
      readonly isOptional?: boolean;
    };

/** Ops of one namespace. */
export interface NetChange {
  readonly netns: NetnsRef;
  readonly ops: readonly NetOp[];
}

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  readonly kind: string | undefined; // IFLA_INFO_KIND
  readonly mac: string | undefined;
  readonly mtu: number;
  readonly isUp: boolean;
  readonly master: number | undefined;
  readonly peerIndex: number | undefined; // IFLA_LINK
  readonly isPromiscuous?: boolean;
  readonly isAllMulticast?: boolean;
  readonly txQueueLength?: number | undefined;
  readonly alias?: string | undefined;
  readonly vxlan?: VxlanInfo | undefined;
  /** Of a vrf, the table that its links are routed by. */
  readonly vrfTable?: number | undefined;
  readonly macvlanMode?: MacvlanMode | undefined;
  readonly ipvlanMode?: IpvlanMode | undefined;
  readonly vlanId?: number | undefined;
  /** What bounds that which leaves by it. */
  readonly queue?: 'tbf' | 'htb' | undefined;
}

/** How a vxlan device was made. */
export interface VxlanInfo {
  readonly vni: number;
  readonly local: string | undefined;
  readonly port: number;
  readonly isLearning: boolean;
}

/** What a link knows of its neighbours that does not age. */
export interface LinkNeighbours {
  readonly neighbours: readonly { readonly address: string; readonly mac: string }[];
  /** Of a vxlan device. */
  readonly forwarding: readonly { readonly mac: string; readonly remote: string }[];
}

export interface AddressInfo {
  readonly linkIndex: number;
  readonly address: string; // 10.0.0.2/24
  /** Not used yet: it is asked whether somebody has it; or somebody has. */
  readonly state?: 'tentative' | 'duplicate';
  readonly scope?: number; // RT_SCOPE_*; absent: global
  /** Of IPv6, and for a time: a router's announcement or a server's (without IFA_F_PERMANENT). */
  readonly isTemporary?: true;
}

export interface RouteInfo {
  readonly destination: string; // 'default' or a CIDR
  readonly gateway: string | undefined;
  readonly linkIndex: number | undefined;
  readonly protocol: number;
  readonly scope: number;
  /** Of those that the kernel did not make, where they are not its own choice. */
  readonly priority?: number;
  readonly source?: string;
  readonly mtu?: number;
  readonly isOnLink?: true; // RTNH_F_ONLINK
  /** It says that there is no way (RTN_UNREACHABLE); of IPv6 its link is lo. */
  readonly isUnreachable?: true;
}

export interface NetworkState {
  readonly links: readonly LinkInfo[];
  readonly addresses: readonly AddressInfo[];
  readonly routes: readonly RouteInfo[]; // main table, IPv4 and IPv6
}

/** How packets are routed besides by the main table. */
export interface RoutingPolicy {
  /** Of those with a source. */
  readonly rules: readonly { readonly source: string; readonly table: number }[];
  /** Of tables that are neither main, local nor default. */
  readonly routes: readonly (RouteInfo & { readonly table: number })[];
}

export type NetEvent =
  | { readonly kind: 'link'; readonly name: string; readonly removed: boolean }
  | { readonly kind: 'address'; readonly linkIndex: number; readonly removed: boolean }
  | { readonly kind: 'route'; readonly destination: string; readonly removed: boolean }
  /** Of those that do not age, and of any that goes. */
  | { readonly kind: 'neighbour'; readonly linkIndex: number; readonly removed: boolean }
  /** The kernel had to drop events (ENOBUFS): read the state again. */
  | { readonly kind: 'overrun' };

export interface Netlink {
  /** Makes a network namespace and pins it by a bind mount at `path` (its lo is down). @throws E_EXISTS */
  createNetns(path: string): Promise<void>;
  /** Unmounts and unlinks; the kernel removes what lived in it. Succeeds if gone. */
  removeNetns(path: string): Promise<void>;
  /**
   * Applies in order and stops at the first failure, whose PodwrightError has detail { index, op, errno }.
   * Codes: E_EXISTS, E_NOT_FOUND (no such link or namespace), E_PERMISSION, E_KERNEL.
   */
  apply(netns: NetnsRef, ops: readonly NetOp[]): Promise<void>;
  /**
   * As apply, through several namespaces in order, in one request: between the two ends of a veth nobody waits for a trip
   * to the thread and back. What follows the first failure is not begun; `detail.index` counts within its change.
   */
  applyAll(changes: readonly NetChange[]): Promise<void>;
  state(netns: NetnsRef): Promise<NetworkState>;
  policy(netns: NetnsRef): Promise<RoutingPolicy>;
  /** Values of sysctls of the network, in the order of `keys` (as for setSysctl); undefined: it is not there. */
  sysctls(netns: NetnsRef, keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** Nothing of a link that is not there. */
  neighbours(netns: NetnsRef, link: string): Promise<LinkNeighbours>;
  /** Link, address, neighbour and route events of a namespace until disposed. */
  watch(netns: NetnsRef, onEvent: (event: NetEvent) => void): Promise<AsyncDisposable>;
}
