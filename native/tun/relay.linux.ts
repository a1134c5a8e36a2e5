/** The relay over the kernel's TUN devices (Documentation/networking/tuntap.rst) and a UDP socket. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import { AF_UNIX, O_NONBLOCK, O_RDWR, SOCK_CLOEXEC, SOCK_DGRAM } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { openFd, OwnedFd } from '#native/sys/fd.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import { ioctl, ioctlValue, socketpair, write } from '#native/sys/libc.ts';
import { withNetns } from '#native/sys/namespace.ts';
import type { Relay, RelayOptions } from './relay.ts';
import type { RelayThreadData, ToRelay } from './relay-thread.ts';

// linux/if_tun.h
const TUNSETIFF = 0x4004_54ca;
const TUNSETPERSIST = 0x4004_54cb;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
/** sizeof(struct ifreq), and IFNAMSIZ. */
const [ifreqBytes, flagsAt] = [40, 16];
/** SOCK_NONBLOCK of bits/socket_type.h is O_NONBLOCK. */
const SOCK_NONBLOCK = O_NONBLOCK;

/** The device is made where there is none; it is left down. */
export async function openRelay({ name, local, port, netns, onDeath }: RelayOptions): Promise<Relay> {
  const family = familyOfIp(local);
  if (family === undefined) throw new PodwrightError('E_INVALID', `relay at ${local}: no address`);
  await using stack = new AsyncDisposableStack();

  const udp = stack.use(
    inetSocket({
      kind: 'datagram',
      family,
      bind: { ip: local, port },
      ...(netns === undefined ? {} : { netns }),
    }),
  );
  const tun = stack.use(netns === undefined ? openTun(name) : withNetns(netns, () => openTun(name)));
  const [wakeReader, waker] = wakePair();
  stack.use(wakeReader);
  stack.use(waker);
  const counts = new Float64Array(new SharedArrayBuffer(4 * 8));
  const channel = new MessageChannel();
  const data: RelayThreadData = {
    ...{ tun: tun.fd, udp: udp.fd, wake: wakeReader.fd, family, counts },
    port: channel.port2,
  };
  const thread = new Worker(new URL('./relay-thread.ts', import.meta.url), {
    execArgv: [],
    name: 'podwright-relay',
    workerData: data,
    transferList: [channel.port2],
  });
  thread.unref();
  let isOpen = true;
  const ended = Promise.withResolvers<void>();
  thread.on('error', () => undefined); // What it says is said by its end.
  thread.on('exit', () => {
    if (isOpen) onDeath?.();
    isOpen = false;
    ended.resolve();
  });
  const tell = (message: ToRelay): void => {
    if (!isOpen) return;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    channel.port1.postMessage(message);
    write(waker.fd, wakeByte, 1);
  };
  // First it ends, then what it works on is closed: numbers of descriptors are given out again.
  stack.defer(async () => {
    tell({ kind: 'close' });
    isOpen = false;
    await ended.promise;
    channel.port1.close();
  });
  const owned = stack.move();
  return {
    setPeers: (peers) => tell({ kind: 'peers', peers }),
    counts: () => {
      const [sent = 0, received = 0, refused = 0, dropped = 0] = counts;
      return { sent, received, refused, dropped };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const wakeByte = Buffer.of(1);

/** A descriptor to wait for, and one to wake by. A full one is as good as woken. */
function wakePair(): readonly [reader: OwnedFd, writer: OwnedFd] {
  const pair = Buffer.alloc(8);
  checked(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 'make a pair of sockets');
  return [new OwnedFd(pair.readInt32LE(0)), new OwnedFd(pair.readInt32LE(4))];
}

/** It stays when nobody has it open: routes by it do not go while the agent starts again. */
function openTun(name: string): OwnedFd {
  const device = openFd('/dev/net/tun', O_RDWR | O_NONBLOCK);
  try {
    const request = Buffer.alloc(ifreqBytes);
    request.write(name, 0);
    request.writeUInt16LE(IFF_TUN | IFF_NO_PI, flagsAt);
    const attempt = (): string => `open tun device ${name}`;
    checked(ioctl(device.fd, TUNSETIFF, request), attempt);
    checked(ioctlValue(device.fd, TUNSETPERSIST, 1), attempt);
    return device;
  } catch (error) {
    device[Symbol.dispose]();
    throw error;
  }
}
