/** The thread of a packet device: it waits in poll(2) for packets and for whoever wakes it. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { lastErrno, poll, read, write } from '#native/sys/libc.ts';
import type { PollingData } from '#native/sys/polling-thread.ts';
import { waitingPacketsMax } from './packet-device.ts';

export interface PacketThreadData extends PollingData {
  readonly tun: number;
  /** Packets that were told and are not taken yet. */
  readonly waiting: Int32Array<SharedArrayBuffer>;
}

export type ToPacketThread =
  | { readonly kind: 'packet'; readonly bytes: Uint8Array }
  | { readonly kind: 'close' };

const POLLIN = 0x1;
const POLLERR = 0x8;
const [EAGAIN, EINTR] = [11, 4];
const burstMax = 64;

const { tun, wake, port, waiting }: PacketThreadData = workerData;
const packet = Buffer.allocUnsafeSlow(65_536);

/** Whether to go on. */
function takeMessages(): boolean {
  read(wake, packet, packet.length);
  for (;;) {
    const received: { readonly message: ToPacketThread } | undefined = receiveMessageOnPort(port);
    if (received === undefined) return true;
    const { message } = received;
    if (message.kind === 'close') return false;
    write(tun, message.bytes, message.bytes.length);
  }
}

/** Whether the device is there yet. */
function takePackets(): boolean {
  for (let done = 0; done < burstMax; done++) {
    const length = read(tun, packet, packet.length);
    if (length < 0) return [EAGAIN, EINTR].includes(lastErrno());
    if (Atomics.load(waiting, 0) >= waitingPacketsMax) continue;
    Atomics.add(waiting, 0, 1);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(Uint8Array.prototype.slice.call(packet, 0, length));
  }
  return true;
}

function run(): void {
  const descriptors = Buffer.alloc(2 * 8); // struct pollfd: descriptor, events, revents
  for (const [index, fd] of [tun, wake].entries()) {
    descriptors.writeInt32LE(fd, index * 8);
    descriptors.writeInt16LE(POLLIN, index * 8 + 4);
  }
  const has = (index: number): boolean => (descriptors.readInt16LE(index * 8 + 6) & (POLLIN | POLLERR)) !== 0;
  for (;;) {
    if (poll(descriptors, 2, -1) < 0) continue; // EINTR
    if (has(1) && !takeMessages()) return;
    if (has(0) && !takePackets()) return;
  }
}

run();
port.close();
parentPort?.close();
