/** Queueing disciplines and filters (linux/rtnetlink.h struct tcmsg, linux/pkt_sched.h, linux/pkt_cls.h). Pure. */
import { unreachable } from '#base/unreachable.ts';
import type { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { ClassQueue, NetOp, TokenBucket } from './netlink.ts';
import { AF_INET6 } from '#native/sys/constants.ts';
import { parsePrefix } from './address.ts';

type TrafficOp = Extract<
  NetOp,
  { readonly op: 'setQueue' | 'addQueueClass' | 'addQueueFilter' | 'redirectIngress' }
>;

interface Context {
  readonly resolver: { linkIndex(name: string): number };
  readonly sequence: number;
}

const ethernetAll = 0x0300; // htons(ETH_P_ALL)
const handleOfIngress = 0xffff_0000;
/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) of linux/pkt_sched.h: of both kinds of qdisc that what comes in is led through. */
const filtersOfIngress = 0xffff_fff2;
const handleOfRoot = 0x0001_0000;
/** From here on a rate is told in 64 bits, and this stands in the field of 32 (net/sched/sch_tbf.c). */
const rateMax = 2 ** 32 - 1;
/** What a class sends at a turn is its rate divided by this (tc-htb(8), r2q). */
const rateToQuantum = 10;
/** What the kernel would take instead of a turn outside of this, and write to its log of each class (net/sched/sch_htb.c). */
const [quantumMin, quantumMax] = [1_000, 200_000];
/** The unit of bursts of classes (PSCHED_SHIFT of net/pkt_sched.h). */
const tickNs = 64;
/** Offsets of addresses in the headers of IPv4 and IPv6, and htons(ETH_P_IP), htons(ETH_P_IPV6). */
const filters = {
  ip4: { protocol: 0x0008, priority: 16, source: 12, target: 16 },
  ip6: { protocol: 0xdd86, priority: 15, source: 8, target: 24 },
} as const;
const acknowledged = nl.NLM_F_REQUEST | nl.NLM_F_ACK | nl.NLM_F_CREATE;

export function writeTraffic(writer: MessageWriter, op: TrafficOp, { resolver, sequence }: Context): void {
  const index = resolver.linkIndex(op.name);
  switch (op.op) {
    case 'setQueue':
      writer.message(nl.RTM_NEWQDISC, acknowledged | flagOf(op.queue), sequence);
      return writeQueue(writer, index, op.queue);
    case 'addQueueClass':
      writer.message(nl.RTM_NEWTCLASS, acknowledged | nl.NLM_F_EXCL, sequence);
      return writeClass(writer, index, op);
    case 'addQueueFilter':
      writer.message(nl.RTM_NEWTFILTER, acknowledged | nl.NLM_F_EXCL, sequence);
      return writeNetworkFilter(writer, index, op);
    case 'redirectIngress':
      writer.message(nl.RTM_NEWTFILTER, acknowledged | nl.NLM_F_EXCL, sequence);
      writer.raw(tcHeader({ index, parent: filtersOfIngress, info: (1 << 16) | ethernetAll }));
      writer.text(nl.TCA_KIND, 'u32');
      return writeRedirect(writer, resolver.linkIndex(op.to));
    default:
      return unreachable(op);
  }
}

/** What comes in by a link may be led through a qdisc of somebody else already (`clsact` of a program that looks on): one is enough. */
const flagOf = ({ kind }: SetQueue['queue']): number =>
  kind === 'ingress' ? nl.NLM_F_EXCL : nl.NLM_F_REPLACE;

type SetQueue = Extract<NetOp, { readonly op: 'setQueue' }>;

function writeQueue(writer: MessageWriter, index: number, queue: SetQueue['queue']): void {
  if (queue.kind === 'ingress') {
    writer.raw(tcHeader({ index, handle: handleOfIngress, parent: nl.TC_H_INGRESS }));
    writer.text(nl.TCA_KIND, 'ingress');
    return;
  }
  writer.raw(tcHeader({ index, handle: handleOfRoot, parent: nl.TC_H_ROOT }));
  writer.text(nl.TCA_KIND, queue.kind);
  writer.nested(nl.TCA_OPTIONS, () => {
    if (queue.kind === 'htb') return void writer.attribute(nl.TCA_HTB_INIT, classQueue(queue));
    writer.attribute(nl.TCA_TBF_PARMS, tokenBucket(queue));
    if (queue.rateBytes >= rateMax) writer.attribute(nl.TCA_TBF_RATE64, uint64(queue.rateBytes));
    writer.u32(nl.TCA_TBF_BURST, queue.burstBytes);
  });
}

/** struct tc_htb_glob; from a class' rate divided by the second number follows how much of it is sent at a turn. */
function classQueue({ defaultClass }: ClassQueue): Buffer {
  const options = Buffer.alloc(20);
  options.writeUInt32LE(nl.TC_HTB_PROTOVER, 0);
  options.writeUInt32LE(rateToQuantum, 4);
  options.writeUInt32LE(defaultClass, 8);
  return options;
}

/** struct tc_htb_opt: rate and ceil are struct tc_ratespec; both are the rate, as the class has no other to borrow from. */
function writeClass(
  writer: MessageWriter,
  index: number,
  { id, rateBytes, burstBytes = 0 }: Extract<NetOp, { readonly op: 'addQueueClass' }>,
): void {
  const options = Buffer.alloc(44);
  for (const at of [0, 12]) {
    options[at + 1] = nl.TC_LINKLAYER_ETHERNET;
    options.writeUInt32LE(Math.min(rateBytes, rateMax), at + 8);
  }
  const ticks = Math.min(Math.floor((burstBytes / rateBytes) * (1e9 / tickNs)), 2 ** 32 - 1);
  options.writeUInt32LE(ticks, 24);
  options.writeUInt32LE(ticks, 28);
  const turn = Math.floor(rateBytes / rateToQuantum);
  options.writeUInt32LE(Math.min(Math.max(turn, quantumMin), quantumMax), 32);
  writer.raw(tcHeader({ index, handle: handleOfRoot | id, parent: handleOfRoot }));
  writer.text(nl.TCA_KIND, 'htb');
  writer.nested(nl.TCA_OPTIONS, () => {
    writer.attribute(nl.TCA_HTB_PARMS, options);
    if (rateBytes < rateMax) return;
    writer.attribute(nl.TCA_HTB_RATE64, uint64(rateBytes));
    writer.attribute(nl.TCA_HTB_CEIL64, uint64(rateBytes));
  });
}

/** Filters of one priority are of one protocol: each family has its own. Words of the address that the prefix says nothing of are not compared. */
function writeNetworkFilter(
  writer: MessageWriter,
  index: number,
  { network, match, to }: Extract<NetOp, { readonly op: 'addQueueFilter' }>,
): void {
  const { family, bytes, length } = parsePrefix(network);
  const kind = family === AF_INET6 ? filters.ip6 : filters.ip4;
  const keys: Buffer[] = [];
  for (let at = 0; at * 8 < length; at += 4) {
    const mask = ((2 ** 32 - 2 ** (32 - Math.min(length - at * 8, 32))) >>> 0) as number;
    const key = Buffer.alloc(16); // struct tc_u32_key
    key.writeUInt32BE(mask, 0);
    key.writeUInt32BE((bytes.readUInt32BE(at) & mask) >>> 0, 4);
    key.writeInt32LE(kind[match] + at, 8);
    keys.push(key);
  }
  const selector = Buffer.alloc(16); // struct tc_u32_sel
  selector[0] = nl.TC_U32_TERMINAL;
  selector[2] = Math.max(keys.length, 1);
  writer.raw(tcHeader({ index, parent: handleOfRoot, info: (kind.priority << 16) | kind.protocol }));
  writer.text(nl.TCA_KIND, 'u32');
  writer.nested(nl.TCA_OPTIONS, () => {
    writer.u32(nl.TCA_U32_CLASSID, handleOfRoot | to);
    // One of zeros matches all.
    writer.attribute(
      nl.TCA_U32_SEL,
      Buffer.concat([selector, ...(keys.length === 0 ? [Buffer.alloc(16)] : keys)]),
    );
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
