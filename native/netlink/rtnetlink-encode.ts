/** NetOps as rtnetlink messages (rtnetlink(7)). Pure: names and namespaces were resolved to numbers by the caller. */
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { AF_BRIDGE, AF_INET6 } from '#native/sys/constants.ts';
import {
  type AddressBytes,
  maskPrefix,
  parseAddress,
  parseMac,
  parsePrefix,
  type PrefixBytes,
} from './address.ts';
import { writeBridge } from './bridge-encode.ts';
import { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import { ifaddrmsgLayout, linkHeader, ndmsgLayout, rtmsgLayout } from './rtnetlink-headers.ts';
import { lowerLinkOf, writeKindData } from './link-kind-encode.ts';
import type { LinkKind, NetnsRef, NetOp } from './netlink.ts';
import { writeNeighbour } from './neighbour-encode.ts';
import { writeRule } from './rule-encode.ts';
import { writeTraffic } from './traffic-encode.ts';

/** RTPROT of the routes that we make, so that repair touches no others (linux/rtnetlink.h leaves 4-255 to user space). */
export const routeProtocolPodwright = 112;

/** What an op names and a message wants as a number. */
export interface Resolver {
  /** @throws E_NOT_FOUND */
  linkIndex(name: string): number;
  /** An open descriptor, good until the message was sent. @throws E_NOT_FOUND */
  netnsFd(netns: NetnsRef): number;
}

/** The ops that are one rtnetlink message. */
export type MessageOp = Exclude<NetOp, { readonly op: 'setSysctl' | 'addTap' }>;

const acknowledged = nl.NLM_F_REQUEST | nl.NLM_F_ACK;
const created = acknowledged | nl.NLM_F_CREATE | nl.NLM_F_EXCL;
const replaced = acknowledged | nl.NLM_F_CREATE | nl.NLM_F_REPLACE;

/** One op as one message. @throws E_INVALID for a bad name, address or MAC, and what the resolver throws */
export function encodeNetOp(op: MessageOp, resolver: Resolver, sequence: number): Buffer {
  const writer = new MessageWriter(256);
  switch (op.op) {
    case 'addLink':
    case 'ensureLink':
      writer.message(nl.RTM_NEWLINK, created, sequence).raw(linkHeader({}));
      writeNewLink(writer, op, resolver);
      break;
    case 'removeLink':
      writer.message(nl.RTM_DELLINK, acknowledged, sequence).raw(linkHeader({}));
      writer.text(nl.IFLA_IFNAME, checkedName(op.name));
      break;
    case 'setLink':
      writeSetLink(writer.message(nl.RTM_NEWLINK, acknowledged, sequence), op, resolver);
      break;
    case 'setBridge':
    case 'setBridgePort':
    case 'addBridgeVlans':
    case 'removeBridgeVlans':
      writeBridge(writer, op, { resolver, sequence });
      break;
    case 'ensureAddress':
    case 'removeAddress': {
      const [type, flags] =
        op.op === 'ensureAddress' ? [nl.RTM_NEWADDR, replaced] : [nl.RTM_DELADDR, acknowledged];
      writeAddress(writer.message(type, flags, sequence), op, resolver);
      break;
    }
    case 'ensureRoute':
      writeRoute(writer.message(nl.RTM_NEWROUTE, replaced, sequence), op, resolver);
      break;
    case 'removeRoute':
      writeRouteRemoval(writer.message(nl.RTM_DELROUTE, acknowledged, sequence), op, resolver);
      break;
    case 'ensureRule':
    case 'removeRule':
      writeRule(writer, op, sequence);
      break;
    case 'ensureNeighbour':
    case 'removeNeighbour':
    case 'ensureForwarding':
    case 'removeForwarding':
      writeNeighbour(writer, op, { resolver, sequence });
      break;
    case 'setQueue':
    case 'addQueueClass':
    case 'addQueueFilter':
    case 'redirectIngress':
      writeTraffic(writer, op, { resolver, sequence });
      break;
    default:
      return unreachable(op);
  }
  return writer.finish().bytes();
}

/** RTM_GETLINK of one link. */
export function encodeGetLink(name: string, sequence: number): Buffer {
  return new MessageWriter(64)
    .message(nl.RTM_GETLINK, nl.NLM_F_REQUEST, sequence)
    .raw(linkHeader({}))
    .text(nl.IFLA_IFNAME, checkedName(name))
    .u32(nl.IFLA_EXT_MASK, nl.RTEXT_FILTER_SKIP_STATS)
    .finish()
    .bytes();
}

export type Dumped = 'link' | 'address' | 'route' | 'rule' | 'neighbour' | 'forwarding';

const dumpTypes: Readonly<Record<Dumped, number>> = {
  link: nl.RTM_GETLINK,
  address: nl.RTM_GETADDR,
  route: nl.RTM_GETROUTE,
  rule: nl.RTM_GETRULE,
  neighbour: nl.RTM_GETNEIGH,
  forwarding: nl.RTM_GETNEIGH,
};

/** A header of zeros asks for all there is; neighbours of bridges and vxlan devices are a family of their own. */
function dumpHeader(what: Exclude<Dumped, 'link'>): Buffer {
  if (what === 'address') return Buffer.alloc(ifaddrmsgLayout.size);
  if (what === 'route' || what === 'rule') return Buffer.alloc(rtmsgLayout.size);
  const header = Buffer.alloc(ndmsgLayout.size);
  if (what === 'forwarding') header[ndmsgLayout.ndm_family] = AF_BRIDGE;
  return header;
}

/** A dump of all links, addresses, routes, rules, neighbours or entries of vxlan devices and bridges. */
export function encodeDump(what: Dumped, sequence: number): Buffer {
  const type = dumpTypes[what];
  const writer = new MessageWriter(64).message(type, nl.NLM_F_REQUEST | nl.NLM_F_DUMP, sequence);
  if (what === 'link') writer.raw(linkHeader({})).u32(nl.IFLA_EXT_MASK, nl.RTEXT_FILTER_SKIP_STATS);
  else writer.raw(dumpHeader(what));
  return writer.finish().bytes();
}

/** dev_valid_name() of net/core/dev.c: the kernel's EINVAL does not say which name it did not like. */
export function checkedName(name: string): string {
  const isValid = /^[^\s/:]+$/.test(name) && name !== '.' && name !== '..';
  if (isValid && Buffer.byteLength(name) < nl.IFNAMSIZ) return name;
  throw new PodwrightError('E_INVALID', `use link name '${name}': 1 to 15 bytes without white space, / or :`);
}

export interface LinkSettings {
  readonly name: string;
  readonly mtu?: number;
  readonly mac?: string;
}

function writeLinkSettings(writer: MessageWriter, settings: LinkSettings): void {
  writer.text(nl.IFLA_IFNAME, checkedName(settings.name));
  if (settings.mtu !== undefined) writer.u32(nl.IFLA_MTU, settings.mtu);
  if (settings.mac !== undefined) writer.attribute(nl.IFLA_ADDRESS, parseMac(settings.mac));
}

function writeNewLink(
  writer: MessageWriter,
  op: LinkSettings & { readonly link: LinkKind; readonly netns?: NetnsRef },
  resolver: Resolver,
): void {
  writeLinkSettings(writer, op);
  const below = lowerLinkOf(op.link);
  if (below !== undefined) writer.u32(nl.IFLA_LINK, resolver.linkIndex(below));
  if (op.netns !== undefined) writer.u32(nl.IFLA_NET_NS_FD, resolver.netnsFd(op.netns));
  writer.nested(nl.IFLA_LINKINFO, () => {
    writer.text(nl.IFLA_INFO_KIND, op.link.kind);
    writeKindData(writer, { ...op, writePeer: writeLinkSettings }, resolver);
  });
}

function writeSetLink(
  writer: MessageWriter,
  op: Extract<NetOp, { readonly op: 'setLink' }>,
  resolver: Resolver,
): void {
  let [flags, change] = [0, 0];
  const setFlag = (flag: number, wanted: boolean | undefined): void => {
    if (wanted === undefined) return;
    change |= flag;
    if (wanted) flags |= flag;
  };
  setFlag(nl.IFF_UP, op.up);
  setFlag(nl.IFF_PROMISC, op.promiscuous);
  setFlag(nl.IFF_ALLMULTI, op.allMulticast);
  // By index, so that IFLA_IFNAME is free to mean the new name.
  writer.raw(linkHeader({ index: resolver.linkIndex(op.name), flags, change }));
  if (op.rename !== undefined) writer.text(nl.IFLA_IFNAME, checkedName(op.rename));
  if (op.mtu !== undefined) writer.u32(nl.IFLA_MTU, op.mtu);
  if (op.mac !== undefined) writer.attribute(nl.IFLA_ADDRESS, parseMac(op.mac));
  if (op.txQueueLength !== undefined) writer.u32(nl.IFLA_TXQLEN, op.txQueueLength);
  if (op.alias !== undefined) writer.text(nl.IFLA_IFALIAS, op.alias);
  if (op.master !== undefined) {
    writer.u32(nl.IFLA_MASTER, op.master === null ? 0 : resolver.linkIndex(op.master));
  }
  if (op.moveTo !== undefined) writer.u32(nl.IFLA_NET_NS_FD, resolver.netnsFd(op.moveTo));
}

function writeAddress(
  writer: MessageWriter,
  op: { readonly name: string; readonly address: string; readonly detectsDuplicates?: boolean },
  resolver: Resolver,
): void {
  const prefix = parsePrefix(op.address);
  const header = Buffer.alloc(ifaddrmsgLayout.size);
  header[ifaddrmsgLayout.ifa_family] = prefix.family;
  header[ifaddrmsgLayout.ifa_prefixlen] = prefix.length;
  // As ip(8) does: an address of the loopback network has host scope.
  const isLoopback = prefix.family !== AF_INET6 && prefix.bytes[0] === 127;
  header[ifaddrmsgLayout.ifa_scope] = isLoopback ? nl.RT_SCOPE_HOST : nl.RT_SCOPE_UNIVERSE;
  header.writeUInt32LE(resolver.linkIndex(op.name), ifaddrmsgLayout.ifa_index);
  writer.raw(header).attribute(nl.IFA_LOCAL, prefix.bytes).attribute(nl.IFA_ADDRESS, prefix.bytes);
  // IPAM made it unique; duplicate address detection would keep it unusable for a second or two.
  if (prefix.family === AF_INET6 && op.detectsDuplicates !== true) writer.u32(nl.IFA_FLAGS, nl.IFA_F_NODAD);
}

const routeTypes = {
  unicast: nl.RTN_UNICAST,
  local: nl.RTN_LOCAL,
  blackhole: nl.RTN_BLACKHOLE,
  unreachable: nl.RTN_UNREACHABLE,
} as const;

const routeScopes = {
  global: nl.RT_SCOPE_UNIVERSE,
  link: nl.RT_SCOPE_LINK,
  host: nl.RT_SCOPE_HOST,
} as const;

function writeRoute(
  writer: MessageWriter,
  op: Extract<NetOp, { readonly op: 'ensureRoute' }>,
  resolver: Resolver,
): void {
  const type = op.type ?? 'unicast';
  const gateway = op.gateway === undefined ? undefined : parseAddress(op.gateway);
  const destination = parseDestination(op.destination, gateway);
  const isDirect = type === 'unicast' && gateway === undefined;
  const scope = op.scope ?? (type === 'local' ? 'host' : isDirect ? 'link' : 'global');
  writer.raw(
    routeHeader(destination, {
      table: type === 'local' ? nl.RT_TABLE_LOCAL : (op.table ?? nl.RT_TABLE_MAIN),
      protocol: op.protocol ?? routeProtocolPodwright,
      scope: routeScopes[scope],
      type: routeTypes[type],
      flags: op.isOnLink === true ? nl.RTNH_F_ONLINK : 0,
    }),
  );
  if (op.table !== undefined) writer.u32(nl.RTA_TABLE, op.table); // The header has room for 255 of them.
  writeNextHop(writer, { destination, gateway, dev: op.dev }, resolver);
  if (op.source !== undefined) writer.attribute(nl.RTA_PREFSRC, parseAddress(op.source).bytes);
  if (op.priority !== undefined) writer.u32(nl.RTA_PRIORITY, op.priority);
  const { mtu, advmss } = op;
  if (mtu === undefined && advmss === undefined) return;
  writer.nested(nl.RTA_METRICS, () => {
    if (mtu !== undefined) writer.u32(nl.RTAX_MTU, mtu);
    if (advmss !== undefined) writer.u32(nl.RTAX_ADVMSS, advmss);
  });
}

function writeRouteRemoval(
  writer: MessageWriter,
  op: Extract<NetOp, { readonly op: 'removeRoute' }>,
  resolver: Resolver,
): void {
  const gateway = op.gateway === undefined ? undefined : parseAddress(op.gateway);
  const destination = parseDestination(op.destination, gateway);
  // Zero and RT_SCOPE_NOWHERE match any protocol, type and scope.
  writer.raw(
    routeHeader(destination, {
      table: op.table ?? nl.RT_TABLE_MAIN,
      protocol: 0,
      scope: nl.RT_SCOPE_NOWHERE,
      type: 0,
    }),
  );
  if (op.table !== undefined) writer.u32(nl.RTA_TABLE, op.table);
  writeNextHop(writer, { destination, gateway, dev: op.dev }, resolver);
}

/** `default` is of the gateway's family, IPv4 without one. */
function parseDestination(text: string, gateway: AddressBytes | undefined): PrefixBytes {
  const any = gateway?.family === AF_INET6 ? '::/0' : '0.0.0.0/0';
  const destination = maskPrefix(parsePrefix(text === 'default' ? any : text));
  if (gateway === undefined || gateway.family === destination.family) return destination;
  throw new PodwrightError('E_INVALID', `route ${text}: the gateway is of another address family`);
}

function routeHeader(
  destination: PrefixBytes,
  route: {
    readonly table: number;
    readonly protocol: number;
    readonly scope: number;
    readonly type: number;
    readonly flags?: number;
  },
): Buffer {
  const header = Buffer.alloc(rtmsgLayout.size);
  header[rtmsgLayout.rtm_family] = destination.family;
  header[rtmsgLayout.rtm_dst_len] = destination.length;
  header[rtmsgLayout.rtm_table] = route.table > 255 ? 0 : route.table;
  header[rtmsgLayout.rtm_protocol] = route.protocol;
  header[rtmsgLayout.rtm_scope] = route.scope;
  header[rtmsgLayout.rtm_type] = route.type;
  header.writeUInt32LE(route.flags ?? 0, rtmsgLayout.rtm_flags);
  return header;
}

function writeNextHop(
  writer: MessageWriter,
  hop: {
    readonly destination: PrefixBytes;
    readonly gateway: AddressBytes | undefined;
    readonly dev: string | undefined;
  },
  resolver: Resolver,
): void {
  if (hop.destination.length > 0) writer.attribute(nl.RTA_DST, hop.destination.bytes);
  if (hop.gateway !== undefined) writer.attribute(nl.RTA_GATEWAY, hop.gateway.bytes);
  if (hop.dev !== undefined) writer.u32(nl.RTA_OIF, resolver.linkIndex(hop.dev));
}
