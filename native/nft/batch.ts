/** The frame of an nfnetlink transaction (linux/netfilter/nfnetlink.h). Pure. */
import { MessageWriter } from '#native/netlink/codec.ts';
import { NLM_F_ACK, NLM_F_REQUEST } from '#native/netlink/netlink-constants.ts';
import type { Family, TableRef } from './nft.ts';
import * as nft from './nftables-constants.ts';

/** NFPROTO_* of a table's family. */
export const familyNumbers: Readonly<Record<Family, number>> = {
  ip: nft.NFPROTO_IPV4,
  ip6: nft.NFPROTO_IPV6,
  inet: nft.NFPROTO_INET,
  bridge: nft.NFPROTO_BRIDGE,
};

/** Frames messages as a batch: begin, the messages, end. */
export class Batch {
  readonly writer: MessageWriter = new MessageWriter(8192);
  nextSequence = 0;
  #nextSetId = 0;
  #lastFlagsAt = 0;

  constructor() {
    this.#header(nft.NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, nft.NFNL_SUBSYS_NFTABLES);
    this.writer.finish();
  }

  /** One nf_tables message. */
  message(type: number, flags: number, table: TableRef, attributes: (writer: MessageWriter) => void): void {
    this.#lastFlagsAt = this.writer.length + 6;
    this.#header(
      (nft.NFNL_SUBSYS_NFTABLES << 8) | type,
      NLM_F_REQUEST | flags,
      familyNumbers[table.family],
      0,
    );
    attributes(this.writer);
    this.writer.finish();
  }

  /** Ids tie a set to the rules of its transaction; we refer by name, but the kernel wants one. */
  newSetId(): number {
    return ++this.#nextSetId;
  }

  /** Only the last message asks for an acknowledgement: errors come unasked, and one is enough to know of the commit. */
  finish(): { readonly bytes: Buffer; readonly lastSequence: number } {
    const lastSequence = this.nextSequence - 1;
    this.#header(nft.NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, nft.NFNL_SUBSYS_NFTABLES);
    this.writer.finish();
    const bytes = this.writer.bytes();
    if (lastSequence > 0)
      bytes.writeUInt16LE(bytes.readUInt16LE(this.#lastFlagsAt) | NLM_F_ACK, this.#lastFlagsAt);
    return { bytes, lastSequence };
  }

  #header(type: number, flags: number, family: number, resource: number): void {
    this.writer.message(type, flags, this.nextSequence++).raw(nfgenmsg(family, resource));
  }
}

/** Bytes of struct nfgenmsg, before the attributes of a message. */
export const nfgenmsgBytes = 4;

/** struct nfgenmsg: family, version, resource id in network order. */
export function nfgenmsg(family: number, resource = 0): Buffer {
  return Buffer.from([family, nft.NFNETLINK_V0, resource >> 8, resource & 0xff]);
}
