/** The Nft port over nfnetlink, synchronous inside: for the Worker, and for short-lived programs. */
import { errnoOf, PodwrightError } from '#base/errors.ts';
import {
  type Acknowledgement,
  MessageWriter,
  type NetlinkMessage,
  parseAcknowledgement,
  parseAttributes,
  parseMessages,
  textOf,
} from '#native/netlink/codec.ts';
import { openNetlinkSocket } from '#native/netlink/route-socket.linux.ts';
import {
  NETLINK_NETFILTER,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
} from '#native/netlink/netlink-constants.ts';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import { errnoName, kernelError } from '#native/sys/errno.ts';
import type { NetlinkSocket } from '#native/sys/socket.ts';
import {
  canonical,
  type ConntrackEntry,
  conntrackMatcher,
  decodeConntrack,
  encodeConntrackDump,
  encodeConntrackRemoval,
  familiesOf,
  familiesOfAddresses,
  flowOf,
} from './conntrack.ts';
import { familyNumbers, nfgenmsg, nfgenmsgBytes } from './batch.ts';
import { encodeBatch, type EncodedBatch } from './encode.ts';
import type { ConntrackMatch, Flow, Nft, NftCounter, NftOp, TableRef } from './nft.ts';
import * as nft from './nftables-constants.ts';
import { renderNftOp } from './render.ts';

/** The kernel takes a batch in one send: its buffer must hold the batch and a little of its own. */
const sendSlackBytes = 65_536;

/** Room for the errors of a batch, of which the first is the one that counts. */
const receiveBytes = 1_048_576;

/**
 * The port with blocking calls inside its promises. The socket that commits to this thread's own namespace stays open:
 * closing an nfnetlink socket waits until the kernel has freed what was replaced, 8 to 24 ms (docs/kernel-notes.md#nft-close).
 */
export function createSyncNft(): Nft {
  let own: NetlinkSocket | undefined;
  const withSocket = <T>(netns: NetnsRef, work: (socket: NetlinkSocket) => T): T => {
    if (netns.kind !== 'own') {
      using socket = openNetlinkSocket(netns, NETLINK_NETFILTER);

      return work(socket);
    }
    own ??= openNetlinkSocket(netns, NETLINK_NETFILTER);
    try {
      return work(own);
    } catch (error) {
      // Nothing that belongs to a refused request may be taken for an answer to the next.
      own[Symbol.dispose]();
      own = undefined;
      throw error;
    }
  };
  return {
    commit: async (netns, ops) => withSocket(netns, (socket) => commit(socket, ops)),
    hasTable: async (netns, table) => hasTable(netns, table),
    ruleCount: async (netns, table) => withSocket(netns, (socket) => ruleCount(socket, table)),
    generation: async (netns) => withSocket(netns, generation),
    counters: async (netns, table) => withSocket(netns, (socket) => listCounters(socket, table)),
    flows: async (netns, addresses) => listFlows(netns, addresses),
    removeFlows: async (netns, flows) => removeFlows(netns, flows),
    flushConntrack: async (netns, matches) => flushConntrack(netns, matches),
  };
}

function commit(socket: NetlinkSocket, ops: readonly NftOp[]): void {
  if (ops.length === 0) return;
  const batch = encodeBatch(ops);
  if (batch.lastSequence === 0) return; // Only element lists, all of them empty.
  socket.reserve({ sendBytes: batch.bytes.length + sendSlackBytes, receiveBytes });
  socket.send(batch.bytes);
  // The kernel worked the batch off within send(2): every answer is waiting.
  const acks = drainAcknowledgements(socket);
  const refused = acks.find((ack) => ack.errno !== 0);
  if (refused !== undefined) throw batchError(batch, ops, refused);
  if (!acks.some((ack) => ack.sequence === batch.lastSequence)) {
    throw kernelError(`commit ${ops.length} nft changes`, 'ENOBUFS', { why: 'no answer from the kernel' });
  }
}

function drainAcknowledgements(socket: NetlinkSocket): readonly Acknowledgement[] {
  const acks: Acknowledgement[] = [];
  for (;;) {
    try {
      const data = socket.receiveNow();
      if (data === undefined) return acks;
      for (const message of parseMessages(data)) {
        const ack = parseAcknowledgement(message);
        if (ack !== undefined) acks.push(ack);
      }
    } catch (error) {
      // More errors than fit: those before are there, and the kernel says so once.
      if (errnoOf(error) !== 'ENOBUFS') throw error;
    }
  }
}

function batchError(batch: EncodedBatch, ops: readonly NftOp[], ack: Acknowledgement): PodwrightError {
  const index = batch.opOfSequence(ack.sequence);
  const op = index === undefined ? undefined : ops[index];
  const attempt = op === undefined ? 'commit nft changes' : renderNftOp(op).split('\n', 1).join();
  const errno = errnoName(ack.errno);
  // The kernel's word for an element that is there with other data.
  const isTaken = errno === 'EBUSY' && op?.op === 'addElements';
  const error = kernelError(attempt, errno, { why: ack.text, detail: { index } });
  return isTaken ? new PodwrightError('E_EXISTS', error.message, { detail: error.detail }) : error;
}

function hasTable(netns: NetnsRef, table: TableRef): boolean {
  using socket = openNetlinkSocket(netns, NETLINK_NETFILTER);

  socket.send(
    new MessageWriter(64)
      .message((nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_GETTABLE, NLM_F_REQUEST, 1)
      .raw(nfgenmsg(familyNumbers[table.family]))
      .text(nft.NFTA_TABLE_NAME, table.name)
      .finish()
      .bytes(),
  );
  for (const message of parseMessages(socket.receive())) {
    const ack = parseAcknowledgement(message);
    if (ack === undefined) return true;
    if (errnoName(ack.errno) === 'ENOENT') return false;
    throw kernelError(`get table ${table.family} ${table.name}`, ack.errno, { why: ack.text });
  }
  return false;
}

/** Times a listing is begun anew because somebody committed in between. */
const listTriesMax = 5;

function ruleCount(socket: NetlinkSocket, table: TableRef): number {
  socket.reserve({ receiveBytes });
  for (let tries = 1; tries <= listTriesMax; tries++) {
    const count = listRules(socket, table, tries);
    if (count !== undefined) return count;
  }
  throw kernelError(`list rules of table ${table.family} ${table.name}`, 'EBUSY', {
    why: 'transactions in between',
  });
}

/** undefined when the kernel says that the list is of two states of the table. */
function listRules(socket: NetlinkSocket, table: TableRef, sequence: number): number | undefined {
  let count = 0;
  let isWhole = true;
  socket.send(
    new MessageWriter(64)
      .message((nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, sequence)
      .raw(nfgenmsg(familyNumbers[table.family]))
      .text(nft.NFTA_RULE_TABLE, table.name)
      .finish()
      .bytes(),
  );
  for (const message of replies(socket, sequence)) {
    if ((message.flags & NLM_F_DUMP_INTR) !== 0) isWhole = false;
    if (message.type === NLMSG_DONE) break;
    const ack = parseAcknowledgement(message);
    if (ack !== undefined)
      throw kernelError(`list rules of table ${table.name}`, ack.errno, { why: ack.text });
    count += 1;
  }
  return isWhole ? count : undefined;
}

function generation(socket: NetlinkSocket): number {
  socket.send(
    new MessageWriter(32)
      .message((nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_GETGEN, NLM_F_REQUEST, 1)
      .raw(nfgenmsg(nft.NFPROTO_UNSPEC))
      .finish()
      .bytes(),
  );
  for (const message of parseMessages(socket.receive())) {
    const ack = parseAcknowledgement(message);
    if (ack !== undefined) throw kernelError('get nft generation', ack.errno, { why: ack.text });
    const id = parseAttributes(message.payload, nfgenmsgBytes).get(nft.NFTA_GEN_ID);
    if (id !== undefined) return id.readUInt32BE(0);
  }
  throw kernelError('get nft generation', 'ENODATA');
}

/** Objects of other kinds are left out. What somebody commits meanwhile may be missing: counts are told, not decided by. */
function listCounters(socket: NetlinkSocket, table: TableRef): readonly NftCounter[] {
  socket.reserve({ receiveBytes });
  const counters: NftCounter[] = [];
  socket.send(
    new MessageWriter(64)
      .message((nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_GETOBJ, NLM_F_REQUEST | NLM_F_DUMP, 1)
      .raw(nfgenmsg(familyNumbers[table.family]))
      .text(nft.NFTA_OBJ_TABLE, table.name)
      .u32Be(nft.NFTA_OBJ_TYPE, nft.NFT_OBJECT_COUNTER)
      .finish()
      .bytes(),
  );
  for (const message of replies(socket, 1)) {
    if (message.type === NLMSG_DONE) break;
    const ack = parseAcknowledgement(message);
    if (ack !== undefined)
      throw kernelError(`list counters of table ${table.name}`, ack.errno, { why: ack.text });
    const counter = decodeCounter(message, table);
    if (counter !== undefined) counters.push(counter);
  }
  return counters;
}

/** undefined for that of another table: kernels before 5.4 tell of all that the family has. */
function decodeCounter(message: NetlinkMessage, table: TableRef): NftCounter | undefined {
  const attributes = parseAttributes(message.payload, nfgenmsgBytes);
  const name = textOf(attributes.get(nft.NFTA_OBJ_NAME));
  const data = attributes.get(nft.NFTA_OBJ_DATA);
  if (name === undefined || data === undefined) return undefined;
  if (textOf(attributes.get(nft.NFTA_OBJ_TABLE)) !== table.name) return undefined;
  const counts = parseAttributes(data);
  const count = (type: number): number => Number(counts.get(type)?.readBigUInt64BE(0) ?? 0n);
  return { name, packets: count(nft.NFTA_COUNTER_PACKETS), bytes: count(nft.NFTA_COUNTER_BYTES) };
}

function listFlows(netns: NetnsRef, addresses: readonly string[]): readonly Flow[] {
  using socket = openNetlinkSocket(netns, NETLINK_NETFILTER);

  socket.reserve({ receiveBytes });
  const wanted = new Set(addresses.map(canonical));
  return [...familiesOfAddresses(addresses)].flatMap((family, index) =>
    dumpConntrack(socket, { family }, index + 1)
      .filter(({ originalSource, replySource }) => wanted.has(originalSource) || wanted.has(replySource))
      .map(flowOf),
  );
}

function removeFlows(netns: NetnsRef, flows: readonly Flow[]): number {
  using socket = openNetlinkSocket(netns, NETLINK_NETFILTER);

  return removeEntries(socket, flows, 1);
}

function flushConntrack(netns: NetnsRef, matches: readonly ConntrackMatch[]): number {
  using socket = openNetlinkSocket(netns, NETLINK_NETFILTER);

  socket.reserve({ receiveBytes });
  const isMeant = conntrackMatcher(matches);
  const protocols = [...new Set(matches.map(({ protocol }) => protocol))];
  const dumps = [...familiesOf(matches)].flatMap((family) =>
    protocols.map((protocol) => ({ family, protocol })),
  );
  const entries = dumps.flatMap((dump, index) => dumpConntrack(socket, dump, index + 1).filter(isMeant));
  return removeEntries(socket, entries, dumps.length + 1);
}

function removeEntries(
  socket: NetlinkSocket,
  entries: readonly Pick<Flow, 'family' | 'identity'>[],
  firstSequence: number,
): number {
  let removed = 0;
  entries.forEach((entry, index) => {
    const sequence = index + firstSequence;
    socket.send(encodeConntrackRemoval(entry, sequence));
    const errno = acknowledgedErrno(socket, sequence);
    if (errno === 0) removed += 1;
    else if (errnoName(errno) !== 'ENOENT') throw kernelError('remove conntrack entry', errno); // ENOENT: it expired.
  });
  return removed;
}

function dumpConntrack(
  socket: NetlinkSocket,
  what: Parameters<typeof encodeConntrackDump>[0],
  sequence: number,
): readonly ConntrackEntry[] {
  const entries: ConntrackEntry[] = [];
  socket.send(encodeConntrackDump(what, sequence));
  for (const message of replies(socket, sequence)) {
    if (message.type === NLMSG_DONE) break;
    const ack = parseAcknowledgement(message);
    if (ack !== undefined) throw kernelError('dump conntrack', ack.errno, { why: ack.text });
    const entry = decodeConntrack(message);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

function acknowledgedErrno(socket: NetlinkSocket, sequence: number): number {
  for (const message of replies(socket, sequence)) {
    const ack = parseAcknowledgement(message);
    if (ack !== undefined) return ack.errno;
  }
  return 0;
}

/** The messages that answer a request, without end: the caller stops at the one it waits for. */
function* replies(socket: NetlinkSocket, sequence: number): Generator<NetlinkMessage> {
  for (;;) {
    for (const message of parseMessages(socket.receive())) {
      if (message.sequence === sequence) yield message;
    }
  }
}
