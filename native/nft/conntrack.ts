/** Connection tracking entries over ctnetlink (linux/netfilter/nfnetlink_conntrack.h). Pure. */
import { formatAddress, parseAddress } from '#native/netlink/address.ts';
import { MessageWriter, type NetlinkMessage, parseAttributes } from '#native/netlink/codec.ts';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from '#native/netlink/netlink-constants.ts';
import { nfgenmsg, nfgenmsgBytes } from './batch.ts';
import type { ConntrackMatch, Flow } from './nft.ts';
import * as nft from './nftables-constants.ts';

const messageType = (type: number): number => (nft.NFNL_SUBSYS_CTNETLINK << 8) | type;

export interface ConntrackEntry {
  readonly family: number;
  readonly protocol: number;
  readonly originalSource: string;
  readonly originalDestination: string;
  readonly originalDestinationPort: number | undefined;
  readonly replySource: string;
  readonly replySourcePort: number | undefined;
  /** As the kernel wrote them: they name this very entry in a deletion. */
  readonly identity: readonly (readonly [type: number, value: Buffer])[];
}

/** What a filter goes by: the protocol of the original direction (CTA_FILTER_F_CTA_PROTO_NUM of net/netfilter/nf_internals.h). */
const filterByProtocol = 1 << 3;

/**
 * A dump of all entries of a family (AF_INET, AF_INET6), or of those of an IP protocol alone. Kernels before 5.8 know no filter and
 * tell all: what is not meant has to be passed over all the same.
 */
export function encodeConntrackDump(
  { family, protocol }: { readonly family: number; readonly protocol?: number },
  sequence: number,
): Buffer {
  const writer = new MessageWriter(64)
    .message(messageType(nft.IPCTNL_MSG_CT_GET), NLM_F_REQUEST | NLM_F_DUMP, sequence)
    .raw(nfgenmsg(family));
  if (protocol !== undefined)
    writer
      .nested(nft.CTA_TUPLE_ORIG, (tuple) =>
        tuple.nested(nft.CTA_TUPLE_PROTO, (inside) => inside.u8(nft.CTA_PROTO_NUM, protocol)),
      )
      .nested(nft.CTA_FILTER, (filter) =>
        filter.u32(nft.CTA_FILTER_ORIG_FLAGS, filterByProtocol).u32(nft.CTA_FILTER_REPLY_FLAGS, 0),
      );
  return writer.finish().bytes();
}

/** The deletion of one entry; CTA_ID keeps it from hitting a newer one with the same addresses. */
export function encodeConntrackRemoval(entry: Pick<Flow, 'family' | 'identity'>, sequence: number): Buffer {
  const writer = new MessageWriter(256)
    .message(messageType(nft.IPCTNL_MSG_CT_DELETE), NLM_F_REQUEST | NLM_F_ACK, sequence)
    .raw(nfgenmsg(entry.family));
  for (const [type, value] of entry.identity) writer.attribute(type, Buffer.from(value));
  return writer.finish().bytes();
}

/** undefined for an entry without what a Service's flow has. @throws E_INVALID when the message is malformed */
export function decodeConntrack(message: NetlinkMessage): ConntrackEntry | undefined {
  const attributes = parseAttributes(message.payload, nfgenmsgBytes);
  const original = decodeTuple(attributes.get(nft.CTA_TUPLE_ORIG));
  const reply = decodeTuple(attributes.get(nft.CTA_TUPLE_REPLY));
  if (original === undefined || reply === undefined) return undefined;
  return {
    family: message.payload[0] ?? 0,
    protocol: original.protocol,
    originalSource: original.source,
    originalDestination: original.destination,
    originalDestinationPort: original.destinationPort,
    replySource: reply.source,
    replySourcePort: reply.sourcePort,
    // A copy: the message is a view of a buffer that the next receive overwrites.
    identity: [nft.CTA_TUPLE_ORIG, nft.CTA_ID, nft.CTA_ZONE].flatMap((type) => {
      const value = attributes.get(type);
      return value === undefined ? [] : [[type, Buffer.from(value)] as const];
    }),
  };
}

/** An entry without what translation made of it: replies come from who really answers. */
export function flowOf({ family, protocol, originalSource, identity, ...reply }: ConntrackEntry): Flow {
  const { replySource, replySourcePort } = reply;
  return { family, protocol, source: originalSource, target: replySource, port: replySourcePort, identity };
}

interface Tuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
}

function decodeTuple(data: Buffer | undefined): Tuple | undefined {
  if (data === undefined) return undefined;
  const tuple = parseAttributes(data);
  const ip = parseAttributes(tuple.get(nft.CTA_TUPLE_IP) ?? Buffer.alloc(0));
  const protocol = parseAttributes(tuple.get(nft.CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  const source = ip.get(nft.CTA_IP_V4_SRC) ?? ip.get(nft.CTA_IP_V6_SRC);
  const destination = ip.get(nft.CTA_IP_V4_DST) ?? ip.get(nft.CTA_IP_V6_DST);
  const number = protocol.get(nft.CTA_PROTO_NUM);
  if (source === undefined || destination === undefined || number === undefined) return undefined;
  return {
    source: formatAddress(source),
    destination: formatAddress(destination),
    protocol: number[0] ?? 0,
    sourcePort: portOf(protocol.get(nft.CTA_PROTO_SRC_PORT)),
    destinationPort: portOf(protocol.get(nft.CTA_PROTO_DST_PORT)),
  };
}

function portOf(value: Buffer | undefined): number | undefined {
  return value !== undefined && value.length === 2 ? value.readUInt16BE(0) : undefined;
}

/** The address families (AF_INET, AF_INET6) of addresses. @throws E_INVALID */
export function familiesOfAddresses(addresses: readonly string[]): ReadonlySet<number> {
  return new Set(addresses.map((address) => parseAddress(address).family));
}

/** The address families (AF_INET, AF_INET6) that matches are about. @throws E_INVALID */
export function familiesOf(matches: readonly ConntrackMatch[]): ReadonlySet<number> {
  const addresses = matches.flatMap(({ originalDestination, replies }) =>
    originalDestination !== undefined
      ? [originalDestination]
      : 'only' in replies
        ? replies.only.map(({ ip }) => ip)
        : [],
  );
  return familiesOfAddresses(addresses);
}

/** Whether an entry is one of the flows meant. It takes the same time however many matches there are. */
export function conntrackMatcher(matches: readonly ConntrackMatch[]): (entry: ConntrackEntry) => boolean {
  const groups = Map.groupBy(matches, ({ protocol, port, originalDestination: to }) =>
    placeKey(protocol, port, to === undefined ? undefined : canonical(to)),
  );
  const wanted = new Map(
    [...groups].map(([key, group]) => [key, group.map(({ replies }) => replyMatcher(replies))] as const),
  );
  return ({ protocol, originalDestination, originalDestinationPort: port, ...reply }) => {
    if (port === undefined) return false;
    const source = sourceKey(reply.replySource, reply.replySourcePort);
    return [originalDestination, undefined].some((to) =>
      wanted.get(placeKey(protocol, port, to))?.some((isMeant) => isMeant(source)),
    );
  };
}

function replyMatcher(replies: ConntrackMatch['replies']): (source: string) => boolean {
  const isOnly = 'only' in replies;
  const named = new Set(
    (isOnly ? replies.only : replies.except).map(({ ip, port }) => sourceKey(canonical(ip), port)),
  );
  return (source) => named.has(source) === isOnly;
}

const placeKey = (protocol: number, port: number, to: string | undefined): string =>
  `${protocol} ${port} ${to ?? '*'}`;
const sourceKey = (ip: string, port: number | undefined): string => `${ip} ${port ?? ''}`;
export const canonical = (address: string): string => formatAddress(parseAddress(address).bytes);
