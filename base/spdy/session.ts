import { Duplex } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import {
  encodeFrame,
  FrameDecoder,
  rstCancel,
  rstInvalidStream,
  rstRefusedStream,
  type SpdyFrame,
} from './frames.ts';
import {
  createHeaderDeflater,
  createHeaderInflater,
  decodeHeaders,
  encodeHeaders,
  type SpdyHeaders,
} from './header-block.ts';

/** One stream of a session: reading is what the peer sends, writing goes to it, `end` half-closes. */
export interface SpdyStream extends Duplex {
  readonly spdyId: number;
  readonly headers: SpdyHeaders;
}

export interface SpdySessionOptions {
  /** The bytes both ways: a socket, or messages of a WebSocket as a stream. Closed with the session. */
  readonly transport: Duplex;
  readonly clock: Clock;
  readonly isServer: boolean;
  /** A stream that the peer opened. It is answered with SYN_REPLY already. */
  readonly onStream: (stream: SpdyStream) => void;
}

/** Streams open at once, and bytes that wait for their readers, of one and of all, before the whole transport is stopped. */
const streamsMax = 1000;
const streamBufferBytes = 262_144;
export const sessionBufferBytes = 4_194_304;
const dataLengthMax = 32_768;
/** How long the peer may take to read what was written before we close. */
const drainMs = 60_000;
/** How long the peer may take to close after us. Closing at once would reset the connection, and what it has not read is lost. */
const lingerMs = 1000;

/**
 * A SPDY/3.1 connection. There is no flow control (as in moby/spdystream, which Kubernetes uses): a reader that lags stops
 * the transport, and with it the other streams, instead of growing a buffer.
 */
export class SpdySession implements AsyncDisposable {
  readonly #transport: Duplex;
  readonly #options: SpdySessionOptions;
  readonly #decoder = new FrameDecoder();
  readonly #inflater = createHeaderInflater();
  readonly #deflater = createHeaderDeflater();
  readonly #streams = new Map<number, StreamEnd>();
  readonly #closed = Promise.withResolvers<void>();
  /** What fails the frames that are being written, if the transport is closed without a word to them. */
  readonly #unwritten = new Set<(error: Error) => void>();
  #nextId: number;
  /** Somebody waits for readers to take what all streams hold together. */
  #taken: PromiseWithResolvers<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: SpdySessionOptions) {
    this.#options = options;
    this.#transport = options.transport;
    this.#nextId = options.isServer ? 2 : 1;
    this.#transport.once('close', () => {
      for (const reject of this.#unwritten) reject(connectionClosed());
      // Whoever waits for a reader would not see it.
      if (!this.#transport.readableEnded) this.#close(undefined);
    });
    this.#run().then(
      () => this.#close(undefined),
      (error: unknown) => this.#close(error),
    );
  }

  /** Resolves when the connection has ended, however it did. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Opens a stream of our own. */
  async open(headers: SpdyHeaders): Promise<SpdyStream> {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = this.#add(id, headers);
    await this.#sendBlock(headers, (block) => ({ type: 'synStream', streamId: id, isFin: false, block }));
    return stream;
  }

  /** Ends all streams and the transport, after what was written has gone out and been taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { clock } = this.#options;
    {
      using _drain = clock.after(drainMs, () => this.#transport.destroy());

      await this.#writing.catch(() => undefined); // The transport is closed in any case.
    }
    for (const stream of this.#streams.values()) stream.lose(connectionClosed());
    this.#transport.end();
    using _linger = clock.after(lingerMs, () => this.#transport.destroy());

    await this.closed;
  }

  async #run(): Promise<void> {
    for await (const chunk of this.#transport) {
      for (const frame of this.#decoder.push(chunk)) await this.#handle(frame);
    }
  }

  async #handle(frame: SpdyFrame): Promise<void> {
    switch (frame.type) {
      case 'synStream':
        return this.#accept(
          frame.streamId,
          frame.isFin,
          decodeHeaders(await this.#inflater.code(frame.block)),
        );
      case 'synReply':
      case 'headers':
        // The block must pass through the context; what it says is of no use here.
        await this.#inflater.code(frame.block);
        if (frame.isFin) this.#streams.get(frame.streamId)?.finish();
        return undefined;
      case 'data':
        return this.#deliver(frame.streamId, frame.data, frame.isFin);
      case 'rstStream':
        this.#streams.get(frame.streamId)?.reset();
        return undefined;
      case 'ping':
        // Ours have the parity of our streams; the peer's are echoed, and nothing more is read until the echo has gone out.
        return this.#isPeers(frame.id) ? this.#send(frame) : undefined;
      case 'goAway':
      case 'ignored':
        return undefined;
      default:
        return unreachable(frame);
    }
  }

  async #accept(id: number, isFin: boolean, headers: SpdyHeaders): Promise<void> {
    if (!this.#isPeers(id)) throw new PodwrightError('E_INVALID', `accept SPDY stream ${id}: not the peer's`);
    if (this.#streams.has(id)) throw new PodwrightError('E_INVALID', `accept SPDY stream ${id}: in use`);
    if (this.#streams.size >= streamsMax) {
      await this.#send({ type: 'rstStream', streamId: id, status: rstRefusedStream });
      return;
    }
    const stream = this.#add(id, headers);
    await this.#sendBlock({}, (block) => ({ type: 'synReply', streamId: id, isFin: false, block }));
    if (isFin) stream.finish();
    this.#options.onStream(stream);
  }

  async #deliver(id: number, data: Buffer, isFin: boolean): Promise<void> {
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      // A late frame of a stream that was closed here needs no answer; one never opened is the peer's mistake.
      if (!this.#isPeers(id) && id >= this.#nextId)
        await this.#send({ type: 'rstStream', streamId: id, status: rstInvalidStream });
      return;
    }
    if (data.length > 0) await stream.deliver(data);
    while (this.#waitingBytes() > sessionBufferBytes && !this.#transport.destroyed) {
      this.#taken = Promise.withResolvers();
      await this.#taken.promise;
    }
    if (isFin) stream.finish();
  }

  /** Streams and pings of a client are odd, of a server even. */
  #isPeers(id: number): boolean {
    return id % 2 === (this.#options.isServer ? 1 : 0);
  }

  #waitingBytes(): number {
    let bytes = 0;
    for (const stream of this.#streams.values()) bytes += stream.readableLength;
    return bytes;
  }

  #add(id: number, headers: SpdyHeaders): StreamEnd {
    const stream = new StreamEnd(id, headers, {
      send: async (data) => {
        for (let offset = 0; offset < data.length; offset += dataLengthMax) {
          const piece = data.subarray(offset, offset + dataLengthMax);
          await this.#send({ type: 'data', streamId: id, isFin: false, data: piece });
        }
      },
      finish: () => this.#send({ type: 'data', streamId: id, isFin: true, data: Buffer.alloc(0) }),
      cancel: () => this.#send({ type: 'rstStream', streamId: id, status: rstCancel }),
      taken: () => this.#taken?.resolve(),
      isServer: this.#options.isServer,
    });
    this.#streams.set(id, stream);
    stream.once('close', () => {
      this.#streams.delete(id);
      this.#taken?.resolve();
    });
    stream.on('error', () => undefined); // Whoever reads or writes it is told; a stream that nobody uses may fail alone.
    return stream;
  }

  /** Compresses and sends in one turn of the queue: blocks must go out in the order in which the context saw them. */
  #sendBlock(headers: SpdyHeaders, frame: (block: Buffer) => SpdyFrame): Promise<void> {
    return this.#enqueue(async () =>
      this.#write(encodeFrame(frame(await this.#deflater.code(encodeHeaders(headers))))),
    );
  }

  #send(frame: SpdyFrame): Promise<void> {
    return this.#enqueue(() => this.#write(encodeFrame(frame)));
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.#writing.then(work);
    this.#writing = result.catch(() => undefined); // Told to whoever wrote that frame.
    return result;
  }

  #write(bytes: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#transport.destroyed || this.#transport.writableEnded) {
      reject(new PodwrightError('E_CLOSED', 'write SPDY frame: connection closed'));
    } else {
      this.#unwritten.add(reject);
      this.#transport.write(bytes, (error) => {
        this.#unwritten.delete(reject);
        if (error === null || error === undefined) resolve();
        else reject(error);
      });
    }
    return promise;
  }

  #close(error: unknown): void {
    const reason = error instanceof PodwrightError ? error : connectionClosed(error);
    for (const stream of this.#streams.values()) stream.lose(reason);
    this.#inflater[Symbol.dispose]();
    this.#deflater[Symbol.dispose]();
    this.#transport.destroy();
    this.#taken?.resolve();
    this.#closed.resolve();
  }
}

function connectionClosed(cause?: unknown): PodwrightError {
  return new PodwrightError('E_CONNECTION', 'SPDY connection closed', { cause });
}

interface StreamPorts {
  readonly send: (data: Buffer) => Promise<void>;
  readonly finish: () => Promise<void>;
  readonly cancel: () => Promise<void>;
  /** Its reader has taken something. */
  readonly taken: () => void;
  readonly isServer: boolean;
}

/** Our end of a stream. (Node's Duplex is the interface that everything pipes into, hence the class.) */
class StreamEnd extends Duplex implements SpdyStream {
  readonly spdyId: number;
  readonly headers: SpdyHeaders;
  readonly #ports: StreamPorts;
  #resume: (() => void) | undefined;
  #isReset = false;
  #isFinished = false;

  constructor(id: number, headers: SpdyHeaders, ports: StreamPorts) {
    super({ readableHighWaterMark: streamBufferBytes, allowHalfOpen: true });
    this.spdyId = id;
    this.headers = headers;
    this.#ports = ports;
  }

  /** Resolves when the reader has room for more, or is gone. */
  async deliver(data: Buffer): Promise<void> {
    if (this.destroyed || this.readableEnded || this.push(data)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resume = resolve;
    await promise;
  }

  /** The peer has sent all that it will. */
  finish(): void {
    this.#isFinished = true;
    this.push(null);
  }

  /** The connection is gone: what the peer has sent to the end can still be read, all else fails. */
  lose(reason: Error): void {
    this.#isReset = true; // There is nobody to tell.
    if (this.#isFinished && !this.readableEnded) this.once('end', () => this.destroy(reason));
    else this.destroy(reason);
  }

  /** The peer does not want it any more. A server in Go ends all its streams so: what it has sent before can still be read. */
  reset(): void {
    this.#isReset = true;
    this.push(null);
    if (this.#ports.isServer || this.readableEnded || this.readableLength === 0) this.destroy();
    else this.once('end', () => this.destroy());
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    if (chunk !== null) this.#ports.taken();
    return chunk;
  }

  override _read(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    settle(this.#ports.send(chunk), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    settle(this.#ports.finish(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#resume?.();
    this.#resume = undefined;
    const isOpen = !this.#isReset && !(this.readableEnded && this.writableFinished);
    if (isOpen) settle(this.#ports.cancel(), () => undefined); // Also when it failed here: the peer waits for an end.
    callback(error);
  }
}

function settle(work: Promise<void>, told: (error?: Error | null) => void): void {
  work.then(() => told(), told);
}
