import { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { WebSocket } from 'ws';
import { systemClock, type Clock } from '#base/clock.ts';
import { parseResizes, type CommandChannels, type StreamRequest } from './channels.ts';

const stdinChannel = 0;
const stdoutChannel = 1;
const stderrChannel = 2;
const errorChannel = 3;
const resizeChannel = 4;
/** v5: the next byte is the channel that the client half-closes. */
const closeChannel = 255;

/**
 * client-go, which alone speaks v5, reads before it has made its streams until 1.33, and drops what comes for one that is not there
 * ("Unknown stream id 1", and an exit code of 0). So it is sent nothing before it has said something, which it does when it has
 * made them, or before this has passed since it answered a ping: it reads then, and makes them beside.
 */
const settleMs = 25;
/** For one that answers no ping. */
const settleMsMax = 1000;

export interface WebSocketVersion {
  /** Messages as base64 text, the channel as its digit. */
  readonly isBase64: boolean;
  /** v4 and v5 end with a Status object, the older ones with text. */
  readonly hasStatus: boolean;
  /** Its client reads before it can take what it reads. */
  readonly isHasty?: boolean;
}

/** The protocols for exec and attach, best first. */
export const websocketProtocols: ReadonlyMap<string, WebSocketVersion> = new Map([
  ['v5.channel.k8s.io', { isBase64: false, hasStatus: true, isHasty: true }],
  ['v4.channel.k8s.io', { isBase64: false, hasStatus: true }],
  ['v4.base64.channel.k8s.io', { isBase64: true, hasStatus: true }],
  ['channel.k8s.io', { isBase64: false, hasStatus: false }],
  ['base64.channel.k8s.io', { isBase64: true, hasStatus: false }],
]);

/** Exec and attach over a WebSocket: binary messages whose first byte is the channel. Owns the socket. */
export function websocketChannels(
  socket: WebSocket,
  request: StreamRequest,
  clock: Clock = systemClock,
): CommandChannels {
  return new WebSocketChannels(socket, request, clock);
}

class WebSocketChannels implements CommandChannels {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #version: WebSocketVersion;
  /** Until it has resolved nothing is sent. */
  #settled: Promise<void> | undefined;
  #hasEnded = false;
  #resize: ((chunk: Buffer) => void) | undefined;

  constructor(socket: WebSocket, request: StreamRequest, clock: Clock) {
    this.#socket = socket;
    this.#version = websocketProtocols.get(socket.protocol) ?? { isBase64: false, hasStatus: false };
    this.stdin = request.stdin ? new Readable({ read: () => socket.resume() }) : undefined;
    this.stdout = request.stdout ? this.#output(stdoutChannel) : undefined;
    this.stderr = request.stderr ? this.#output(stderrChannel) : undefined;
    this.#settled = this.#version.isHasty === true ? canTake(socket, clock) : undefined;
    this.#settled?.then(
      () => (this.#settled = undefined),
      () => undefined,
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('message', (raw) => this.#take(decode(raw, this.#version.isBase64)));
    socket.on('close', () => {
      this.#endInput();
      resolve();
    });
    socket.on('error', () => socket.terminate());
    socket.resume();
  }

  onResize(listener: Parameters<typeof parseResizes>[0]): void {
    this.#resize = parseResizes(listener);
  }

  async finish(status: Parameters<CommandChannels['finish']>[0]): Promise<void> {
    // A stream that the socket was too slow for holds what it was given: the close that follows would cut it off.
    await Promise.allSettled(
      [this.stdout, this.stderr].flatMap((stream) => (stream ? [finished(stream.end())] : [])),
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    const message = status.status === 'Success' ? '' : (status.message ?? '');
    const text = this.#version.hasStatus ? JSON.stringify(status) : message;
    this.#send(errorChannel, Buffer.from(text), () => resolve());
    await promise;
    this.#endInput();
    this.#socket.close(1000);
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.close(1000);
    else if (this.#socket.readyState !== this.#socket.CLOSED) this.#socket.terminate();
  }

  #output(channel: number): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, callback) => this.#send(channel, chunk, callback),
    });
  }

  #send(channel: number, data: Buffer, done: (error?: Error | null) => void): void {
    if (this.#settled !== undefined) {
      this.#settled.then(() => this.#send(channel, data, done), done);
      return;
    }
    if (this.#socket.readyState !== this.#socket.OPEN) {
      done(new Error('connection closed'));
      return;
    }
    if (this.#version.isBase64) this.#socket.send(`${channel}${data.toString('base64')}`, done);
    else this.#socket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, done);
  }

  #take(message: Buffer): void {
    const [channel] = message;
    const data = message.subarray(1);
    if (channel === stdinChannel) {
      // A reader that lags stops the socket; `read` lets it go on.
      if (this.stdin !== undefined && data.length > 0 && !this.#hasEnded && !this.stdin.push(data))
        this.#socket.pause();
    } else if (channel === resizeChannel) this.#resize?.(data);
    else if (channel === closeChannel && data[0] === stdinChannel) this.#endInput();
  }

  /** Nobody reads on then, and yet the client's close has to be seen. */
  #endInput(): void {
    if (this.stdin !== undefined && !this.#hasEnded) this.stdin.push(null);
    this.#hasEnded = true;
    this.#socket.resume();
  }
}

/** Resolves when a hasty client can take what it is sent, or is gone. */
function canTake(socket: WebSocket, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let timer = clock.after(settleMsMax, resolve);
  socket.once('pong', () => {
    timer[Symbol.dispose]();
    timer = clock.after(settleMs, resolve);
  });
  socket.once('message', () => resolve());
  socket.once('close', () => resolve());
  socket.ping();
  return promise.finally(() => timer[Symbol.dispose]());
}

function decode(raw: Buffer | ArrayBuffer | Buffer[], isBase64: boolean): Buffer {
  const bytes = Array.isArray(raw)
    ? Buffer.concat(raw)
    : Buffer.from(raw instanceof ArrayBuffer ? new Uint8Array(raw) : raw);
  if (!isBase64) return bytes;
  const text = bytes.toString('latin1');
  return Buffer.concat([Buffer.from([Number(text[0] ?? 0)]), Buffer.from(text.slice(1), 'base64')]);
}
