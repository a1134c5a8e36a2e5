/** What the kinds of tunnels have in common: a device with the node's address in its own ranges, and paths that leave by it. */
import type { Node } from '#api/generated/objects.ts';
import type { LinkInfo, NetOp, NetworkState } from '#native/netlink/netlink.ts';
import {
  type IpFamily,
  bitsOf,
  cidrContains,
  familyOfIp,
  formatCidr,
  formatIp,
  hostCidr,
  ipOfBytes,
  knownCidr,
  parseCidr,
  parseIp,
} from '#base/ip.ts';
import type { Path, TunnelKind } from './paths.ts';

/** Names of interfaces, at most 15 bytes. */
export const tunnelDevices: Readonly<Record<TunnelKind, string>> = {
  vxlan: 'podwright-vx',
  udp: 'podwright-udp',
  wireguard: 'podwright-wg',
};

/**
 * Bytes of an outer packet that are not the pods': its IP header and UDP's 8, then VXLAN's 8 with the inner Ethernet header of 14
 * (RFC 7348), or WireGuard's 32 of data messages.
 */
const overheads: Readonly<Record<TunnelKind, number>> = { vxlan: 8 + 8 + 14, udp: 8, wireguard: 8 + 32 };
const ipHeaders: Readonly<Record<IpFamily, number>> = { 4: 20, 6: 40 };

/** The largest packet of a pod that goes through as one. */
export function tunnelMtu(kind: TunnelKind, outerFamily: IpFamily, linkMtu: number): number {
  // Wireguard's are counted for IPv6 whatever it goes over, as wg-quick does: an endpoint may be of either.
  const family = kind === 'wireguard' ? 6 : outerFamily;
  return linkMtu - ipHeaders[family] - overheads[kind];
}

/** What a tunnel is to be. */
export interface TunnelWanted {
  /** The node's own, as others reach it. */
  readonly local: string;
  readonly port: number;
  readonly vni: number;
  readonly mtu: number;
  /** The node's in its own ranges, without prefix length. */
  readonly addresses: readonly string[];
  /** Of all pods. */
  readonly clusterCidrs: readonly string[];
  /** Those of the kind. */
  readonly paths: readonly Path[];
  /** All others, of whom each may send by the kind whatever way it is reached itself. */
  readonly nodes: readonly Node[];
}

/** The kind of tunnel, kept as it is wanted. */
export interface Tunnel {
  readonly kind: TunnelKind;
  /** Makes it so, from what there is, and says whether links or addresses are others now; safe to repeat. @throws E_UNSUPPORTED where the kernel has no such device */
  ensure(wanted: TunnelWanted, state: NetworkState): Promise<boolean>;
  /** How often it is looked at, in ms, while it is there; undefined: the kernel tells of all that becomes of it. */
  readonly lookMs?: number;
  /** Succeeds if it is gone. */
  remove(): Promise<void>;
}

/** The route of a path. Only Ethernet has neighbours: other devices are told whose packets are whose by themselves. */
export function routeOf(path: Path): {
  readonly destination: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly isOnLink?: boolean;
} {
  const { destination, kind } = path;
  if (kind === 'direct') return { destination, gateway: path.gateway };
  const dev = tunnelDevices[kind];
  if (kind !== 'vxlan') return { destination, dev };
  const gateway = neighbourOf(path);
  // Of IPv6 it is of the link, and of no other (see there).
  return familyOfIp(gateway) === 4
    ? { destination, dev, gateway, isOnLink: true }
    : { destination, dev, gateway };
}

/** The address that the other node has in its range: the first. */
export function targetOf({ destination }: Path): string {
  return destination.slice(0, destination.indexOf('/'));
}

/**
 * By which the other node is a neighbour on the vxlan device. Of IPv6 that which its hardware address makes (RFC 4291, appendix A): an
 * address of its range would be refused while another route leads there (ip6_route_check_nh_onlink() of net/ipv6/route.c), and a new way
 * could not take the place of an old one at once.
 */
export function neighbourOf(path: Extract<Path, { readonly kind: 'vxlan' }>): string {
  const target = targetOf(path);
  if (familyOfIp(target) === 4) return target;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = path.mac
    .split(':')
    .map((byte) => Number.parseInt(byte, 16));
  const bytes = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f);
  const ip = ipOfBytes(bytes);
  return ip === undefined ? target : formatIp(ip);
}

type DeviceWanted = Pick<TunnelWanted, 'mtu' | 'addresses' | 'clusterCidrs'> & { readonly mac?: string };

/**
 * Everything of a device but its being there: MTU, addresses, up. Before it is up: no address of its own making, which would send
 * to nobody; and loose checks of the way back, as a node may be reached by another way than it reaches (rp_filter,
 * Documentation/networking/ip-sysctl.rst: of the device's and all's the higher counts). Pure.
 */
export function planDevice(
  link: LinkInfo,
  { mtu, addresses, clusterCidrs, mac }: DeviceWanted,
  state: Pick<NetworkState, 'addresses'>,
): readonly NetOp[] {
  const { name } = link;
  const wanted = new Set(
    addresses.flatMap((text) => parseIp(text) ?? []).map((ip) => formatCidr(hostCidr(ip))),
  );
  const present = state.addresses
    .filter(({ linkIndex }) => linkIndex === link.index)
    .map((each) => each.address);
  const missing = [...wanted].filter((address) => !present.includes(address));
  const isChanged = link.mtu !== mtu || (mac !== undefined && link.mac !== mac);
  return [
    ...(link.isUp ? [] : planQuiet(name)),
    ...(isChanged ? [{ op: 'setLink', name, mtu, ...(mac === undefined ? {} : { mac }) } as const] : []),
    ...(link.isUp ? [] : [{ op: 'setLink', name, up: true } as const]),
    ...present
      .filter((address) => !wanted.has(address) && isPodAddress(address, clusterCidrs))
      .map((address): NetOp => ({ op: 'removeAddress', name, address })),
    ...missing.map((address): NetOp => ({ op: 'ensureAddress', name, address })),
  ];
}

function planQuiet(name: string): readonly NetOp[] {
  const setting = (key: string, value: string): NetOp => ({ op: 'setSysctl', key, value, isOptional: true });
  return [
    setting(`net/ipv4/conf/${name}/rp_filter`, '2'),
    setting(`net/ipv6/conf/${name}/addr_gen_mode`, '1'), // IN6_ADDR_GEN_MODE_NONE
    setting(`net/ipv6/conf/${name}/accept_ra`, '0'),
    setting(`net/ipv6/conf/${name}/accept_dad`, '0'),
  ];
}

/** A whole address of the pods' networks: one that the node had when its range was another. */
function isPodAddress(address: string, clusterCidrs: readonly string[]): boolean {
  const cidr = parseCidr(address);
  if (cidr === undefined || cidr.prefix !== bitsOf(cidr.ip.family)) return false;
  return clusterCidrs.some((text) => cidrContains(knownCidr(text), cidr.ip));
}
