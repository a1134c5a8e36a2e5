/** One rtnetlink socket in a namespace: ops applied one by one, links looked up, tables dumped. */
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { O_RDONLY } from '#native/sys/constants.ts';
import { errnoName, kernelError } from '#native/sys/errno.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';
import { threadNetnsPath, withNetns } from '#native/sys/namespace.ts';
import { NetlinkSocket } from '#native/sys/socket.ts';
import { type NetlinkMessage, parseAcknowledgement, parseMessages } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { LinkInfo, NetnsRef, NetOp } from './netlink.ts';
import { renderNetOp } from './render.ts';
import { decodeLink } from './rtnetlink-decode.ts';
import {
  type Dumped,
  encodeDump,
  encodeGetLink,
  encodeNetOp,
  type MessageOp,
  type Resolver,
} from './rtnetlink-encode.ts';

/** A dump that a change cut through (NLM_F_DUMP_INTR) is made again at most this often. */
const dumpTriesMax = 5;

/** What is not an error: the thing is as wanted already. */
const toleratedByOp: Readonly<Record<NetOp['op'], readonly string[]>> = {
  addLink: [],
  ensureLink: [],
  removeLink: ['ENODEV'],
  setLink: [],
  setBridge: [],
  setBridgePort: [],
  addBridgeVlans: [],
  removeBridgeVlans: ['ENOENT', 'ENODEV'],
  ensureAddress: ['EEXIST'],
  removeAddress: ['EADDRNOTAVAIL', 'ENODEV'],
  ensureRoute: [],
  removeRoute: ['ESRCH', 'ENODEV'],
  ensureNeighbour: [],
  removeNeighbour: ['ENOENT', 'ENODEV'],
  ensureForwarding: [],
  removeForwarding: ['ENOENT', 'ENODEV'],
  ensureRule: ['EEXIST'],
  removeRule: ['ENOENT'],
  addTap: [],
  setQueue: ['EEXIST'],
  addQueueClass: [],
  addQueueFilter: [],
  redirectIngress: ['EEXIST'],
  setSysctl: [],
};

/** Opens a netfilter or route socket inside a namespace. */
export function openNetlinkSocket(netns: NetnsRef, protocol: number, groups = 0): NetlinkSocket {
  const open = (): NetlinkSocket => new NetlinkSocket(protocol, groups);
  return netns.kind === 'own' ? open() : withNetns(netns.path, open);
}

/**
 * The socket and its sequence numbers. Every op is its own request and acknowledgement: the kernel would take many messages
 * in one send, but goes on after one that fails, and "stops at the first failure" is worth the 3 us that a round trip costs.
 */
export class RouteSocket implements Disposable {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  constructor(netns: NetnsRef) {
    this.#socket = openNetlinkSocket(netns, nl.NETLINK_ROUTE);
  }

  apply(op: MessageOp): void {
    const openNetns: OwnedFd[] = [];
    const resolver: Resolver = {
      linkIndex: (name) => this.#linkIndex(name),
      netnsFd: (netns) => {
        const fd = openFd(netns.kind === 'own' ? threadNetnsPath : netns.path, O_RDONLY);
        openNetns.push(fd);
        return fd.fd;
      },
    };
    try {
      const sequence = ++this.#sequence; // Looking up a link inside takes later numbers.
      this.#socket.send(encodeNetOp(op, resolver, sequence));
      this.#acknowledge(op, sequence);
    } catch (error) {
      // Also where the name of the link was resolved: to remove from a link that is gone is done.
      if (!toleratedByOp[op.op].includes(errnoOf(error) ?? '')) throw error;
    } finally {
      for (const fd of openNetns) fd[Symbol.dispose]();
    }
  }

  findLink(name: string): LinkInfo | undefined {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeGetLink(name, sequence));
    for (const message of this.#replies(sequence)) {
      const ack = parseAcknowledgement(message);
      if (ack === undefined) return decodeLink(message);
      if (errnoName(ack.errno) !== 'ENODEV')
        throw kernelError(`get link ${name}`, ack.errno, { why: ack.text });
      return undefined;
    }
    return undefined;
  }

  dump<T>(what: Dumped, decode: (message: NetlinkMessage) => T | undefined): readonly T[] {
    for (let tries = 1; tries <= dumpTriesMax; tries++) {
      const items = this.#dumpOnce(what, decode);
      if (items !== undefined) return items;
    }
    throw new PodwrightError('E_BUSY', `dump ${what}: it changed under each of ${dumpTriesMax} readings`);
  }

  /** undefined: a change cut through the dump. */
  #dumpOnce<T>(what: Dumped, decode: (message: NetlinkMessage) => T | undefined): T[] | undefined {
    const items: T[] = [];
    let isConsistent = true;
    const sequence = ++this.#sequence;
    this.#socket.send(encodeDump(what, sequence));
    for (const message of this.#replies(sequence)) {
      isConsistent &&= (message.flags & nl.NLM_F_DUMP_INTR) === 0;
      if (message.type === nl.NLMSG_DONE) return isConsistent ? items : undefined;
      const ack = parseAcknowledgement(message);
      if (ack !== undefined) throw kernelError(`dump ${what}`, ack.errno, { why: ack.text });
      const item = decode(message);
      if (item !== undefined) items.push(item);
    }
    return undefined;
  }

  #linkIndex(name: string): number {
    const link = this.findLink(name);
    if (link === undefined) throw kernelError(`find link ${name}`, 'ENODEV');
    return link.index;
  }

  #acknowledge(op: MessageOp, sequence: number): void {
    for (const message of this.#replies(sequence)) {
      const ack = parseAcknowledgement(message);
      if (ack === undefined) continue;
      if (ack.errno !== 0) throw kernelError(renderNetOp(op), ack.errno, { why: ack.text });
      return;
    }
  }

  /** The messages that answer a request, without end: the caller stops at the one it waits for. */
  *#replies(sequence: number): Generator<NetlinkMessage> {
    for (;;) {
      for (const message of parseMessages(this.#socket.receive())) {
        if (message.sequence === sequence) yield message;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
