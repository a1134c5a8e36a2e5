/** Queueing disciplines and filters (linux/rtnetlink.h struct tcmsg, linux/pkt_sched.h, linux/pkt_cls.h). Pure. */
import type { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { NetOp, TokenBucket } from './netlink.ts';

type TrafficOp = Extract<NetOp, { readonly op: 'setQueue' | 'redirectIngress' }>;

interface Context {
  readonly resolver: { linkIndex(name: string): number };
  readonly sequence: number;
}

const ethernetAll = 0x0300; // htons(ETH_P_ALL)
const handleOfIngress = 0xffff_0000;
const handleOfRoot = 0x0001_0000;
/** From here on a rate is told in 64 bits, and this stands in the field of 32 (net/sched/sch_tbf.c). */
const rateMax = 2 ** 32 - 1;
const acknowledged = nl.NLM_F_REQUEST | nl.NLM_F_ACK | nl.NLM_F_CREATE;

export function writeTraffic(writer: MessageWriter, op: TrafficOp, { resolver, sequence }: Context): void {
  const index = resolver.linkIndex(op.name);
  if (op.op === 'redirectIngress') {
    writer.message(nl.RTM_NEWTFILTER, acknowledged | nl.NLM_F_EXCL, sequence);
    writer.raw(tcHeader({ index, parent: handleOfIngress, info: (1 << 16) | ethernetAll }));
    writer.text(nl.TCA_KIND, 'u32');
    writeRedirect(writer, resolver.linkIndex(op.to));
    return;
  }
  const { queue } = op;
  writer.message(nl.RTM_NEWQDISC, acknowledged | nl.NLM_F_REPLACE, sequence);
  if (queue.kind === 'ingress') {
    writer.raw(tcHeader({ index, handle: handleOfIngress, parent: nl.TC_H_INGRESS }));
    writer.text(nl.TCA_KIND, 'ingress');
    return;
  }
  writer.raw(tcHeader({ index, handle: handleOfRoot, parent: nl.TC_H_ROOT }));
  writer.text(nl.TCA_KIND, 'tbf');
  writer.nested(nl.TCA_OPTIONS, () => {
    writer.attribute(nl.TCA_TBF_PARMS, tokenBucket(queue));
    if (queue.rateBytes >= rateMax) writer.attribute(nl.TCA_TBF_RATE64, uint64(queue.rateBytes));
    writer.u32(nl.TCA_TBF_BURST, queue.burstBytes);
  });
}

/** struct tcmsg */
function tcHeader(tc: {
  readonly index: number;
  readonly handle?: number;
  readonly parent: number;
  readonly info?: number;
}): Buffer {
  const header = Buffer.alloc(20);
  header.writeInt32LE(tc.index, 4);
  header.writeUInt32LE(tc.handle ?? 0, 8);
  header.writeUInt32LE(tc.parent, 12);
  header.writeUInt32LE(tc.info ?? 0, 16);
  return header;
}

/** struct tc_tbf_qopt: two tc_ratespec, then limit, buffer and mtu. The buffer is told in bytes by TCA_TBF_BURST. */
function tokenBucket({ rateBytes, limitBytes }: TokenBucket): Buffer {
  const options = Buffer.alloc(36);
  options[1] = nl.TC_LINKLAYER_ETHERNET; // The kernel then counts by itself, without a table of ours.
  options.writeUInt32LE(Math.min(rateBytes, rateMax), 8);
  options.writeUInt32LE(limitBytes, 24);
  return options;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** A u32 filter that every packet matches, and the action mirred: leave by another link. */
function writeRedirect(writer: MessageWriter, index: number): void {
  const selector = Buffer.alloc(32); // struct tc_u32_sel with one struct tc_u32_key of zeros
  selector[0] = nl.TC_U32_TERMINAL;
  selector[2] = 1;
  const redirect = Buffer.alloc(28); // struct tc_mirred
  redirect.writeInt32LE(nl.TC_ACT_STOLEN, 8);
  redirect.writeInt32LE(nl.TCA_EGRESS_REDIR, 20);
  redirect.writeUInt32LE(index, 24);
  writer.nested(nl.TCA_OPTIONS, () => {
    writer.attribute(nl.TCA_U32_SEL, selector);
    writer.nested(nl.TCA_U32_ACT, () =>
      writer.nested(1, () => {
        writer.text(nl.TCA_ACT_KIND, 'mirred');
        writer.nested(nl.TCA_ACT_OPTIONS, () => writer.attribute(nl.TCA_MIRRED_PARMS, redirect));
      }),
    );
  });
}
