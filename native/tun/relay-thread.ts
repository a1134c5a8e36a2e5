/** The thread of a relay: it waits in poll(2) for device, socket and whoever wakes it, and passes on what is there. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errnoName } from '#native/sys/errno.ts';
import { encodeSocketAddress, socketAddressBytes } from '#native/sys/inet-socket.ts';
import { lastErrno, poll, read, recvfrom, sendto, write } from '#native/sys/libc.ts';
import { MSG_DONTWAIT } from '#native/sys/constants.ts';
import type { PollingData } from '#native/sys/polling-thread.ts';
import { noPeer, PeerAddresses, PeerTable } from './peer-table.ts';
import type { RelayPeer } from './relay.ts';

/** What the thread is given. */
export interface RelayThreadData extends PollingData {
  readonly tun: number;
  readonly udp: number;
  readonly family: 4 | 6;
  /** sent, received, refused, dropped */
  readonly counts: Float64Array<SharedArrayBuffer>;
}

export type ToRelay =
  | { readonly kind: 'peers'; readonly peers: readonly RelayPeer[] }
  | { readonly kind: 'close' };

const POLLIN = 0x1;
const POLLERR = 0x8;
/** Of one descriptor, before the others have their turn. */
const burstMax = 64;
/** The largest packet there is. */
const packetBytesMax = 65_535;

const { tun, udp, wake, family, port, counts }: RelayThreadData = workerData;
const packet = Buffer.allocUnsafeSlow(packetBytesMax);
const from = Buffer.alloc(socketAddressBytes);
const fromLength = Buffer.alloc(4);
const [fromAt, words] = family === 4 ? ([4, 1] as const) : ([8, 4] as const);

let table = new PeerTable([]);
let addresses = new PeerAddresses([]);
let targets: readonly (Buffer | undefined)[] = [];

const count = (at: 0 | 1 | 2 | 3): void => {
  counts[at] = (counts[at] ?? 0) + 1;
};

/** Whether there was one: a packet of the kernel's, sent to whose it is. */
function sendOne(): boolean {
  const length = read(tun, packet, packetBytesMax);
  if (length < 0) return endUnlessBusy('read the device');
  const target = targets[table.targetOf(packet, length)];
  if (target === undefined) count(2);
  else if (sendto(udp, packet, length, MSG_DONTWAIT, target, target.length) === length) count(0);
  else count(3);
  return true;
}

/** Whether there was one: a datagram of a known host, with a packet of its own networks, for the kernel. */
function receiveOne(): boolean {
  fromLength.writeUInt32LE(from.length);
  const length = recvfrom(udp, packet, packetBytesMax, MSG_DONTWAIT, from, fromLength);
  if (length < 0) return lastErrno() === ECONNREFUSED || endUnlessBusy('receive datagrams');
  const peer = addresses.find(from, fromAt, words);
  const isOfPeer = peer !== noPeer && table.sourceOf(packet, length) === peer;
  // What is for another host would come back to us from there.
  if (!isOfPeer || table.targetOf(packet, length) !== noPeer) count(2);
  else if (write(tun, packet, length) === length) count(1);
  else count(3);
  return true;
}

const EAGAIN = 11;
const EINTR = 4;
/** Of a datagram that went before: nobody listens there now. */
const ECONNREFUSED = 111;

function endUnlessBusy(what: string): false {
  const errno = lastErrno();
  if (errno !== EAGAIN && errno !== EINTR) throw new Error(`${what}: ${errnoName(errno)}`);
  return false;
}

/** Whether to go on. */
function takeMessages(): boolean {
  read(wake, packet, packetBytesMax);
  for (;;) {
    const received: { readonly message: ToRelay } | undefined = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const { message } = received;
    if (message.kind === 'close') return false;
    table = new PeerTable(message.peers);
    addresses = new PeerAddresses(message.peers);
    targets = message.peers.map(({ ip, port: to }) =>
      to === 0 ? undefined : encodeSocketAddress({ ip, port: to }),
    );
  }
}

function burst(one: () => boolean): void {
  for (let done = 0; done < burstMax && one(); done++);
}

function run(): void {
  const descriptors = Buffer.alloc(3 * 8); // struct pollfd: descriptor, events, revents
  [tun, udp, wake].forEach((fd, index) => {
    descriptors.writeInt32LE(fd, index * 8);
    descriptors.writeInt16LE(POLLIN, index * 8 + 4);
  });
  const has = (index: number): boolean => (descriptors.readInt16LE(index * 8 + 6) & (POLLIN | POLLERR)) !== 0;
  for (;;) {
    if (poll(descriptors, 3, -1) < 0) continue; // EINTR
    if (has(2) && !takeMessages()) return;
    if (has(0)) burst(sendOne);
    if (has(1)) burst(receiveOne);
  }
}

run();
port.close();
parentPort?.close();
