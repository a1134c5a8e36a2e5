/** rtnetlink messages as values: links, addresses, routes and the events made of them. Pure. */
import { PodwrightError } from '#base/errors.ts';
import { AF_INET, AF_INET6 } from '#native/sys/constants.ts';
import { formatAddress, formatMac } from './address.ts';
import { type NetlinkMessage, parseAttributes, textOf, u32Of } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { AddressInfo, LinkInfo, NetEvent, RouteInfo, RoutingPolicy } from './netlink.ts';
import { ipvlanModes, macvlanModes } from './link-kind-encode.ts';
import { ruleSourceLength } from './rule-encode.ts';
import { ifaddrmsgLayout, ifinfomsgLayout, ndmsgLayout, rtmsgLayout } from './rtnetlink-headers.ts';

type PolicyRoute = RoutingPolicy['routes'][number];

function checkedPayload(message: NetlinkMessage, headerBytes: number): Buffer {
  if (message.payload.length >= headerBytes) return message.payload;
  throw new PodwrightError('E_INVALID', `parse rtnetlink message ${message.type}: cut off`);
}

/** RTM_NEWLINK or RTM_DELLINK. undefined: about a bridge port (AF_BRIDGE), not about the link itself. */
export function decodeLink(message: NetlinkMessage): LinkInfo | undefined {
  const payload = checkedPayload(message, ifinfomsgLayout.size);
  if (payload[ifinfomsgLayout.ifi_family] !== 0) return undefined;
  const attributes = parseAttributes(payload, ifinfomsgLayout.size);
  const info = attributes.get(nl.IFLA_LINKINFO);
  const mac = attributes.get(nl.IFLA_ADDRESS);
  const flags = payload.readUInt32LE(ifinfomsgLayout.ifi_flags);
  const hasFlag = (flag: number): boolean => (flags & flag) !== 0;
  return {
    index: payload.readInt32LE(ifinfomsgLayout.ifi_index),
    name: textOf(attributes.get(nl.IFLA_IFNAME)) ?? '',
    kind: info === undefined ? undefined : textOf(parseAttributes(info).get(nl.IFLA_INFO_KIND)),
    mac: mac === undefined ? undefined : formatMac(mac),
    mtu: u32Of(attributes.get(nl.IFLA_MTU)) ?? 0,
    isUp: hasFlag(nl.IFF_UP),
    master: u32Of(attributes.get(nl.IFLA_MASTER)),
    peerIndex: u32Of(attributes.get(nl.IFLA_LINK)),
    isPromiscuous: hasFlag(nl.IFF_PROMISC),
    isAllMulticast: hasFlag(nl.IFF_ALLMULTI),
    alias: textOf(attributes.get(nl.IFLA_IFALIAS)),
    txQueueLength: u32Of(attributes.get(nl.IFLA_TXQLEN)),
    ...vxlanOf(info),
    ...vrfOf(info),
    ...partOf(info),
    ...queueOf(textOf(attributes.get(nl.IFLA_QDISC))),
  };
}

/** What is particular about a vxlan device, of its IFLA_LINKINFO. */
function vxlanOf(info: Buffer | undefined): Pick<LinkInfo, 'vxlan'> {
  if (info === undefined) return {};
  const attributes = parseAttributes(info);
  const data = attributes.get(nl.IFLA_INFO_DATA);
  if (data === undefined || textOf(attributes.get(nl.IFLA_INFO_KIND)) !== 'vxlan') return {};
  const settings = parseAttributes(data);
  const local = settings.get(nl.IFLA_VXLAN_LOCAL) ?? settings.get(nl.IFLA_VXLAN_LOCAL6);
  const port = settings.get(nl.IFLA_VXLAN_PORT);
  return {
    vxlan: {
      vni: u32Of(settings.get(nl.IFLA_VXLAN_ID)) ?? 0,
      local: local === undefined ? undefined : formatAddress(local),
      port: port === undefined || port.length < 2 ? 0 : port.readUInt16BE(0),
      isLearning: settings.get(nl.IFLA_VXLAN_LEARNING)?.[0] === 1,
    },
  };
}

function vrfOf(info: Buffer | undefined): Pick<LinkInfo, 'vrfTable'> {
  if (info === undefined) return {};
  const attributes = parseAttributes(info);
  const data = attributes.get(nl.IFLA_INFO_DATA);
  if (data === undefined || textOf(attributes.get(nl.IFLA_INFO_KIND)) !== 'vrf') return {};
  return { vrfTable: u32Of(parseAttributes(data).get(nl.IFLA_VRF_TABLE)) };
}

function queueOf(kind: string | undefined): Pick<LinkInfo, 'queue'> {
  return kind === 'tbf' || kind === 'htb' ? { queue: kind } : {};
}

/** How a link that is part of another was made. */
function partOf(info: Buffer | undefined): Pick<LinkInfo, 'macvlanMode' | 'ipvlanMode' | 'vlanId'> {
  if (info === undefined) return {};
  const attributes = parseAttributes(info);
  const data = attributes.get(nl.IFLA_INFO_DATA);
  if (data === undefined) return {};
  const settings = parseAttributes(data);
  const u16Of = (value: Buffer | undefined): number | undefined =>
    value === undefined || value.length < 2 ? undefined : value.readUInt16LE(0);
  switch (textOf(attributes.get(nl.IFLA_INFO_KIND))) {
    case 'macvlan':
      return { macvlanMode: keyOf(macvlanModes, u32Of(settings.get(nl.IFLA_MACVLAN_MODE))) };
    case 'ipvlan':
      return { ipvlanMode: keyOf(ipvlanModes, u16Of(settings.get(nl.IFLA_IPVLAN_MODE))) };
    case 'vlan':
      return { vlanId: u16Of(settings.get(nl.IFLA_VLAN_ID)) };
    default:
      return {};
  }
}

function keyOf<K extends string>(
  names: Readonly<Record<K, number>>,
  value: number | undefined,
): K | undefined {
  for (const name in names) if (names[name] === value) return name;
  return undefined;
}

/** RTM_NEWADDR or RTM_DELADDR. */
export function decodeAddress(message: NetlinkMessage): AddressInfo | undefined {
  const payload = checkedPayload(message, ifaddrmsgLayout.size);
  const attributes = parseAttributes(payload, ifaddrmsgLayout.size);
  // On a point-to-point link IFA_ADDRESS is the peer's; IPv6 has IFA_LOCAL only there.
  const bytes = attributes.get(nl.IFA_LOCAL) ?? attributes.get(nl.IFA_ADDRESS);
  if (bytes === undefined) return undefined;
  const flags = u32Of(attributes.get(nl.IFA_FLAGS)) ?? nl.IFA_F_PERMANENT;
  const scope = payload[ifaddrmsgLayout.ifa_scope] ?? 0;
  const isTemporary = bytes.length === 16 && (flags & nl.IFA_F_PERMANENT) === 0;
  return {
    linkIndex: payload.readUInt32LE(ifaddrmsgLayout.ifa_index),
    address: `${formatAddress(bytes)}/${payload[ifaddrmsgLayout.ifa_prefixlen]}`,
    ...stateOf(flags),
    ...(scope === 0 ? {} : { scope }),
    ...(isTemporary ? { isTemporary } : {}),
  };
}

function stateOf(flags: number): Pick<AddressInfo, 'state'> {
  if ((flags & nl.IFA_F_DADFAILED) !== 0) return { state: 'duplicate' };
  return (flags & nl.IFA_F_TENTATIVE) === 0 ? {} : { state: 'tentative' };
}

/** RTM_NEWROUTE or RTM_DELROUTE. undefined: not of the main table, a cached clone, or not IPv4 or IPv6. */
export function decodeRoute(message: NetlinkMessage): RouteInfo | undefined {
  const route = decodeTableRoute(message);
  if (route?.table !== nl.RT_TABLE_MAIN) return undefined;
  const { table: _main, ...rest } = route;
  return rest;
}

/** The same of any table. */
export function decodeTableRoute(message: NetlinkMessage): PolicyRoute | undefined {
  const payload = checkedPayload(message, rtmsgLayout.size);
  const family = payload[rtmsgLayout.rtm_family];
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if ((payload.readUInt32LE(rtmsgLayout.rtm_flags) & nl.RTM_F_CLONED) !== 0) return undefined;
  const attributes = parseAttributes(payload, rtmsgLayout.size);
  const table = u32Of(attributes.get(nl.RTA_TABLE)) ?? payload[rtmsgLayout.rtm_table] ?? 0;
  const destination = attributes.get(nl.RTA_DST);
  const gateway = attributes.get(nl.RTA_GATEWAY);
  return {
    destination:
      destination === undefined
        ? 'default'
        : `${formatAddress(destination)}/${payload[rtmsgLayout.rtm_dst_len]}`,
    gateway: gateway === undefined ? undefined : formatAddress(gateway),
    linkIndex: u32Of(attributes.get(nl.RTA_OIF)),
    protocol: payload[rtmsgLayout.rtm_protocol] ?? 0,
    scope: payload[rtmsgLayout.rtm_scope] ?? 0,
    ...(payload[rtmsgLayout.rtm_protocol] === protocolKernel ? {} : choicesOf(payload, attributes)),
    ...(payload[rtmsgLayout.rtm_type] === nl.RTN_UNREACHABLE ? { isUnreachable: true as const } : {}),
    table,
  };
}

/** RTPROT_KERNEL: the route of an address. */
const protocolKernel = 2;
/** IP6_RT_PRIO_USER of linux/ipv6_route.h: what a route of IPv6 has that says none. */
const priorityOfIpv6 = 1024;

/** What whoever made a route has chosen of it. */
function choicesOf(
  payload: Buffer,
  attributes: ReadonlyMap<number, Buffer>,
): Pick<RouteInfo, 'priority' | 'source' | 'mtu' | 'isOnLink'> {
  const priority = u32Of(attributes.get(nl.RTA_PRIORITY));
  const isOwn = payload[rtmsgLayout.rtm_family] === AF_INET6 && priority === priorityOfIpv6;
  const source = attributes.get(nl.RTA_PREFSRC);
  const metrics = attributes.get(nl.RTA_METRICS);
  const mtu = metrics === undefined ? undefined : u32Of(parseAttributes(metrics, 0).get(nl.RTAX_MTU));
  const isOnLink = (payload.readUInt32LE(rtmsgLayout.rtm_flags) & nl.RTNH_F_ONLINK) !== 0;
  return {
    ...(priority === undefined || isOwn ? {} : { priority }),
    ...(source === undefined ? {} : { source: formatAddress(source) }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(isOnLink ? { isOnLink } : {}),
  };
}

/** RTM_NEWRULE; undefined for one without a source, or that does not lead to a table. */
export function decodeRule(message: NetlinkMessage): RoutingPolicy['rules'][number] | undefined {
  const payload = checkedPayload(message, rtmsgLayout.size);
  const attributes = parseAttributes(payload, rtmsgLayout.size);
  const source = attributes.get(nl.FRA_SRC);
  if (source === undefined || payload[rtmsgLayout.rtm_type] !== nl.FR_ACT_TO_TBL) return undefined;
  const table = u32Of(attributes.get(nl.FRA_TABLE)) ?? payload[rtmsgLayout.rtm_table] ?? 0;
  return { source: `${formatAddress(source)}/${payload[ruleSourceLength]}`, table };
}

/** RTM_NEWNEIGH or RTM_DELNEIGH: an address or, of a vxlan device, where frames go. */
export interface NeighbourEntry {
  readonly linkIndex: number;
  readonly isPermanent: boolean;
  /** Of another host's address on the link, or for AF_BRIDGE the host that frames go to. */
  readonly address: string | undefined;
  readonly mac: string | undefined;
}

/** Those of addresses, and those of AF_BRIDGE. */
export function decodeNeighbour(message: NetlinkMessage): NeighbourEntry | undefined {
  const payload = checkedPayload(message, ndmsgLayout.size);
  const attributes = parseAttributes(payload, ndmsgLayout.size);
  const [address, mac] = [attributes.get(nl.NDA_DST), attributes.get(nl.NDA_LLADDR)];
  const isAddress = address?.length === 4 || address?.length === 16;
  return {
    linkIndex: payload.readInt32LE(ndmsgLayout.ndm_ifindex),
    isPermanent: (payload.readUInt16LE(ndmsgLayout.ndm_state) & nl.NUD_PERMANENT) !== 0,
    address: isAddress ? formatAddress(address) : undefined,
    mac: mac === undefined || mac.length === 0 ? undefined : formatMac(mac),
  };
}

/** A multicast message as an event; undefined for what the port does not speak of. */
export function decodeEvent(message: NetlinkMessage): NetEvent | undefined {
  switch (message.type) {
    case nl.RTM_NEWLINK:
    case nl.RTM_DELLINK: {
      const link = decodeLink(message);
      return link && { kind: 'link', name: link.name, removed: message.type === nl.RTM_DELLINK };
    }
    case nl.RTM_NEWADDR:
    case nl.RTM_DELADDR: {
      const address = decodeAddress(message);
      const removed = message.type === nl.RTM_DELADDR;
      return address && { kind: 'address', linkIndex: address.linkIndex, removed };
    }
    case nl.RTM_NEWROUTE:
    case nl.RTM_DELROUTE: {
      const route = decodeRoute(message);
      const removed = message.type === nl.RTM_DELROUTE;
      return route && { kind: 'route', destination: route.destination, removed };
    }
    case nl.RTM_NEWNEIGH:
    case nl.RTM_DELNEIGH: {
      const removed = message.type === nl.RTM_DELNEIGH;
      const entry = decodeNeighbour(message);
      // What is learned comes and goes with the traffic, and nobody asks about it.
      if (entry === undefined || !(removed || entry.isPermanent)) return undefined;
      return { kind: 'neighbour', linkIndex: entry.linkIndex, removed };
    }
    default:
      return undefined;
  }
}
