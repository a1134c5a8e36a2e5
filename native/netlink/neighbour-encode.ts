/** Neighbours, and entries of the forwarding databases of vxlan devices (linux/neighbour.h, rtnetlink(7)). Pure. */
import { AF_BRIDGE } from '#native/sys/constants.ts';
import { parseAddress, parseMac } from './address.ts';
import type { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { NetOp } from './netlink.ts';
import { ndmsgLayout } from './rtnetlink-headers.ts';

export type NeighbourOp = Extract<
  NetOp,
  { readonly op: 'ensureNeighbour' | 'removeNeighbour' | 'ensureForwarding' | 'removeForwarding' }
>;

interface Numbers {
  readonly resolver: { linkIndex(name: string): number };
  readonly sequence: number;
}

export function writeNeighbour(
  writer: MessageWriter,
  op: NeighbourOp,
  { resolver, sequence }: Numbers,
): void {
  const isNew = op.op === 'ensureNeighbour' || op.op === 'ensureForwarding';
  const isForwarding = op.op === 'ensureForwarding' || op.op === 'removeForwarding';
  const address = parseAddress(isForwarding ? op.remote : op.address);
  const header = Buffer.alloc(ndmsgLayout.size);
  header[ndmsgLayout.ndm_family] = isForwarding ? AF_BRIDGE : address.family;
  header.writeInt32LE(resolver.linkIndex(op.name), ndmsgLayout.ndm_ifindex);
  header.writeUInt16LE(nl.NUD_PERMANENT, ndmsgLayout.ndm_state);
  // The device's own table, not that of a bridge which it may be a port of.
  if (isForwarding) header[ndmsgLayout.ndm_flags] = nl.NTF_SELF;
  const flags = nl.NLM_F_REQUEST | nl.NLM_F_ACK | (isNew ? nl.NLM_F_CREATE | nl.NLM_F_REPLACE : 0);
  writer.message(isNew ? nl.RTM_NEWNEIGH : nl.RTM_DELNEIGH, flags, sequence).raw(header);
  writer.attribute(nl.NDA_DST, address.bytes);
  if ('mac' in op) writer.attribute(nl.NDA_LLADDR, parseMac(op.mac));
}
