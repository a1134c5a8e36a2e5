/** The thread of an announcer: it waits in poll(2) for frames and for whoever wakes it, and answers at once, however busy the others are. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { poll, read } from '#native/sys/libc.ts';
import { receiveFrame, sendFrame } from '#native/sys/packet-socket.ts';
import type { PollingData } from '#native/sys/polling-thread.ts';
import type { IpFamily } from '#base/ip.ts';
import type { AnnouncerLink, HeardClaim } from './announcer.ts';
import {
  decodeNeighbourMessage,
  encodeAnnouncements,
  encodeAnswer,
  encodeAsk,
  type NeighbourMessage,
} from './neighbour-frames.ts';

/** What the thread is given. */
export interface AnnouncerThreadData extends PollingData {
  /** Of ARP, and of Neighbor Discovery. */
  readonly sockets: readonly [number, number];
  readonly link: AnnouncerLink;
}

export type ToAnnouncer =
  | { readonly kind: 'answer'; readonly addresses: ReadonlySet<string> }
  | { readonly kind: 'watch'; readonly addresses: ReadonlySet<string> }
  | { readonly kind: 'announce'; readonly address: string }
  | { readonly kind: 'ask'; readonly address: string; readonly toMac: string | undefined }
  | { readonly kind: 'close' };

export type FromAnnouncer = HeardClaim;

const POLLIN = 0x1;
const POLLERR = 0x8;
/** Of one socket, before the others have their turn. */
const burstMax = 64;

const { sockets, wake, link, port }: AnnouncerThreadData = workerData;
const scratch = Buffer.alloc(4096);
let answered: ReadonlySet<string> = new Set();
let watched: ReadonlySet<string> = new Set();

function take(message: NeighbourMessage, socket: number): void {
  const { mac, claims, asks } = message;
  if (mac === link.mac) return;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  if (claims !== undefined && watched.has(claims))
    port.postMessage({ address: claims, mac } satisfies FromAnnouncer);
  if (asks !== undefined && answered.has(asks)) sendFrame(socket, encodeAnswer(asks, link.mac, message));
}

function say(message: Extract<ToAnnouncer, { readonly address: string }>): void {
  const { address } = message;
  const family: IpFamily = address.includes(':') ? 6 : 4;
  const socket = family === 4 ? sockets[0] : sockets[1];
  const ip = link.ips[family];
  const own = { mac: link.mac, ...(ip === undefined ? {} : { ip }) };
  const frames =
    message.kind === 'announce'
      ? encodeAnnouncements(address, link.mac)
      : [encodeAsk(address, own, message.toMac)];
  for (const frame of frames) sendFrame(socket, frame);
}

/** Whether to go on. */
function takeMessages(): boolean {
  read(wake, scratch, scratch.length);
  for (;;) {
    const received: { readonly message: ToAnnouncer } | undefined = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const { message } = received;
    switch (message.kind) {
      case 'close':
        return false;
      case 'answer':
        answered = message.addresses;
        break;
      case 'watch':
        watched = message.addresses;
        break;
      default:
        say(message);
    }
  }
}

function takeFrames(socket: number): void {
  for (let done = 0; done < burstMax; done++) {
    const frame = receiveFrame(socket);
    if (frame === undefined) return;
    const message = decodeNeighbourMessage(frame);
    if (message !== undefined) take(message, socket);
  }
}

function run(): void {
  const waited = [...sockets, wake];
  const descriptors = Buffer.alloc(waited.length * 8); // struct pollfd: descriptor, events, revents
  for (const [index, fd] of waited.entries()) {
    descriptors.writeInt32LE(fd, index * 8);
    descriptors.writeInt16LE(POLLIN, index * 8 + 4);
  }
  const has = (index: number): boolean => (descriptors.readInt16LE(index * 8 + 6) & (POLLIN | POLLERR)) !== 0;
  for (;;) {
    if (poll(descriptors, waited.length, -1) < 0) continue; // EINTR
    if (has(sockets.length) && !takeMessages()) return;
    for (const [index, socket] of sockets.entries()) if (has(index)) takeFrames(socket);
  }
}

run();
port.close();
parentPort?.close();
