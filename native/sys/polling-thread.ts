/** Threads that wait in poll(2) for descriptors, and for who started them. */
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { AF_UNIX, O_NONBLOCK, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts';
import { checked } from './errno.ts';
import { OwnedFd } from './fd.ts';
import { socketpair, write } from './libc.ts';

/** SOCK_NONBLOCK of bits/socket_type.h is O_NONBLOCK. */
const SOCK_NONBLOCK = O_NONBLOCK;
const wakeByte = Buffer.of(1);

/** What such a thread is given, with what is its own. */
export interface PollingData {
  /** Readable when there is a message. */
  readonly wake: number;
  readonly port: MessagePort;
}

export interface PollingThreadOptions<Told> {
  readonly url: URL;
  readonly name: string;
  readonly data: object;
  /** By which it ends. */
  readonly close: Told;
  readonly onMessage?: (message: unknown) => void;
  /** Told when it ended without having been asked to. */
  readonly onDeath?: (() => void) | undefined;
}

/** Disposing it ends the thread first: numbers of descriptors that it works on are given out again once they are closed. */
export interface PollingThread<Told> extends AsyncDisposable {
  tell(message: Told): void;
}

export function startPollingThread<Told>(options: PollingThreadOptions<Told>): PollingThread<Told> {
  const [reader, waker] = wakePair();
  const channel = new MessageChannel();
  const data: PollingData = { wake: reader.fd, port: channel.port2 };
  const thread = new Worker(options.url, {
    execArgv: [],
    name: options.name,
    workerData: { ...options.data, ...data },
    transferList: [channel.port2],
  });
  thread.unref();
  if (options.onMessage !== undefined) {
    channel.port1.on('message', options.onMessage);
    channel.port1.unref();
  }
  let isOpen = true;
  const ended = Promise.withResolvers<void>();
  thread.on('error', () => undefined); // What it says is said by its end.
  thread.on('exit', () => {
    if (isOpen) options.onDeath?.();
    isOpen = false;
    ended.resolve();
  });
  const tell = (message: Told): void => {
    if (!isOpen) return;
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    channel.port1.postMessage(message);
    write(waker.fd, wakeByte, 1);
  };
  return {
    tell,
    [Symbol.asyncDispose]: async () => {
      tell(options.close);
      isOpen = false;
      await ended.promise;
      channel.port1.close();
      reader[Symbol.dispose]();
      waker[Symbol.dispose]();
    },
  };
}

/** A descriptor to wait for, and one to wake by. A full one is as good as woken. */
function wakePair(): readonly [reader: OwnedFd, writer: OwnedFd] {
  const pair = Buffer.alloc(8);
  checked(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 'make a pair of sockets');
  return [new OwnedFd(pair.readInt32LE(0)), new OwnedFd(pair.readInt32LE(4))];
}
