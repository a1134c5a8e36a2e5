import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Clock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';

/** Half-opened connections (an error stream without its data stream) of one client, and how long one may stay so (kubelet's streamCreationTimeout). */
const pendingMax = 1000;
export const pairMs = 30_000;
/** How long a pod may take to read what a client sent before it gave its connection up. */
export const drainMs = 10_000;

interface ForwardPorts {
  readonly runtime: Pick<Runtime, 'connectPort'>;
  readonly clock: Clock;
}

/**
 * Port-forward over SPDY, raw or through a WebSocket. Each connection is a pair of streams with one `requestid`: `error`,
 * which stays empty unless the port cannot be reached, and `data`, which is the connection. Resolves when the client is gone.
 */
export async function servePortForward(
  transport: Duplex,
  podUid: string,
  ports: ForwardPorts,
): Promise<void> {
  const pairs = new StreamPairs(ports.clock);
  await using session = new SpdySession({
    transport,
    clock: ports.clock,
    isServer: true,
    onStream: (stream) => {
      const pair = pairs.add(stream);
      if (pair === undefined) return;
      forward({ ...pair, port: Number(stream.headers['port']), podUid }, ports).catch(() => {
        pair.data.destroy();
        pair.error.destroy();
      });
    },
  });

  await session.closed;
}

interface StreamPair {
  readonly data: SpdyStream;
  readonly error: SpdyStream;
}

/** The streams of a client that wait for their other half. What is no stream of a port-forward is reset, as by kubelet. */
class StreamPairs {
  readonly #waiting = new Map<string, SpdyStream>(); // By request id: the first stream of a pair.
  readonly #clock: Clock;
  #counter = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The pair that a new stream makes whole. */
  add(stream: SpdyStream): StreamPair | undefined {
    const { streamtype = '', requestid, port = '' } = stream.headers;
    const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
    if (!['data', 'error'].includes(streamtype) || number < 1 || number > 65_535) {
      stream.destroy();
      return undefined;
    }
    // Clients before 1.? send no request id: streams then come in pairs.
    const key = requestid ?? String(Math.floor(this.#counter++ / 2));
    const other = this.#waiting.get(key);
    if (other === undefined) {
      this.#wait(key, stream);
      return undefined;
    }
    if (other.headers['streamtype'] === streamtype) {
      stream.destroy(); // Twice the same half.
      return undefined;
    }
    this.#waiting.delete(key);
    return streamtype === 'data' ? { error: other, data: stream } : { error: stream, data: other };
  }

  #wait(key: string, stream: SpdyStream): void {
    if (this.#waiting.size >= pendingMax) {
      stream.destroy();
      return;
    }
    this.#waiting.set(key, stream);
    const isAlone = (): boolean => this.#waiting.get(key) === stream;
    const timer = this.#clock.after(pairMs, () => isAlone() && stream.destroy());
    stream.once('close', () => {
      timer[Symbol.dispose]();
      if (isAlone()) this.#waiting.delete(key);
    });
  }
}

interface Forward extends StreamPair {
  readonly port: number;
  readonly podUid: string;
}

/** Says why on the error stream if the port cannot be reached. What happens later is the connection's end, and kubectl would end all others for it. */
async function forward(
  { data, error, port, podUid }: Forward,
  { runtime, clock }: ForwardPorts,
): Promise<void> {
  error.resume();
  let socket: Duplex;
  try {
    socket = await runtime.connectPort(podUid, port);
  } catch (failure) {
    error.end(`error forwarding port ${port} to pod ${podUid}: ${describeError(failure)}`);
    data.resume();
    data.end(() => data.destroy());
    return;
  }
  // kubectl before 1.30 gives its connection up only when both streams have ended: that of errors ends with what the pod sends.
  socket.once('end', () => error.end());
  socket.once('error', (failure: unknown) => {
    if (isPodwrightError(failure) && !error.writableEnded) error.end(describeError(failure)); // Of a runtime that connects by itself.
  });
  await join(data, socket, clock);
  if (!error.writableEnded) error.end();
}

/**
 * Joins a client's stream and a pod's connection until both have ended. Either side may end its own direction and still take what the
 * other sends. A reset of the pod's reaches the client as the end, behind the bytes that came before it (there is no more that kubectl
 * could show of it); a stream that the client gave up ends the connection behind what was handed on.
 */
async function join(data: SpdyStream, socket: Duplex, clock: Clock): Promise<void> {
  const socketClosed = Promise.withResolvers<void>();
  const dataClosed = Promise.withResolvers<void>();
  socket.on('error', () => undefined); // Told by its close.
  socket.once('close', () => {
    // Its last bytes go first. What the client still sends has no reader, and would hold up its other streams.
    data.end(() => data.destroy());
    data.resume();
    socketClosed.resolve();
  });
  const giveUp = (): void => {
    socket.end(() => socket.destroy());
    dataClosed.resolve();
  };
  if (data.closed) giveUp();
  else data.once('close', giveUp);
  data.pipe(socket);
  socket.pipe(data);
  await dataClosed.promise;
  using _drain = clock.after(drainMs, () => socket.destroy());

  await socketClosed.promise;
}

/**
 * The older WebSocket protocol (v4.channel.k8s.io with `?ports=`): channel 2i is the data, 2i+1 the errors of port i; the
 * first message of each is the port, little-endian. One connection for each port.
 */
export async function servePortChannels(
  socket: WebSocket,
  ports: readonly number[],
  { runtime, podUid }: { readonly runtime: Pick<Runtime, 'connectPort'>; readonly podUid: string },
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  socket.on('close', () => closed.resolve());
  socket.on('error', () => socket.terminate());
  const send = (channel: number, data: Buffer): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (socket.readyState !== socket.OPEN) resolve();
    else socket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, () => resolve());
    return promise;
  };
  const connections = ports.map(async (port, index) => {
    const prefix = Buffer.alloc(2);
    prefix.writeUInt16LE(port);
    await Promise.all([send(index * 2, prefix), send(index * 2 + 1, prefix)]);
    try {
      return await runtime.connectPort(podUid, port);
    } catch (error) {
      await send(index * 2 + 1, Buffer.from(`error forwarding port ${port}: ${describeError(error)}`));
      return undefined;
    }
  });
  socket.on('message', (raw) => {
    const message = Array.isArray(raw)
      ? Buffer.concat(raw)
      : Buffer.from(raw instanceof ArrayBuffer ? new Uint8Array(raw) : raw);
    const channel = message[0] ?? 0;
    connections[channel / 2]?.then(
      (connection) => {
        if (connection === undefined || connection.destroyed) return;
        if (connection.write(message.subarray(1))) return;
        socket.pause();
        for (const event of ['drain', 'close']) connection.once(event, () => socket.resume());
      },
      () => undefined,
    );
  });
  socket.resume();
  const readers = connections.map(async (connecting, index) => {
    const connection = await connecting;
    if (connection === undefined) return;
    closed.promise.then(
      () => connection.destroy(),
      () => undefined,
    );
    try {
      for await (const chunk of connection) await send(index * 2, chunk);
    } catch (error) {
      await send(index * 2 + 1, Buffer.from(describeError(error)));
    }
  });
  await Promise.race([Promise.all(readers), closed.promise]);
  socket.close(1000);
}
