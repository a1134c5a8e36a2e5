import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { WebSocket } from 'ws';
import type { Clock } from '#base/clock.ts';
import { describeError, errnoOf } from '#base/errors.ts';
import { SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';

/** Half-opened connections (an error stream without its data stream) of one client. */
const pendingMax = 1000;

/**
 * Port-forward over SPDY, raw or through a WebSocket. Each connection is a pair of streams with one `requestid`: `error`,
 * which stays empty unless something fails, and `data`, which is the connection. Resolves when the client is gone.
 */
export async function servePortForward(
  transport: Duplex,
  podUid: string,
  { runtime, clock }: { readonly runtime: Runtime; readonly clock: Clock },
): Promise<void> {
  const waiting = new Map<string, SpdyStream>(); // By request id: the first stream of a pair.
  let counter = 0;
  await using session = new SpdySession({
    transport,
    clock,
    isServer: true,
    onStream: (stream) => {
      const { streamtype = '', requestid } = stream.headers;
      // Clients before 1.? send no request id: streams then come in pairs.
      const key = requestid ?? String(Math.floor(counter++ / 2));
      const other = waiting.get(key);
      if (other === undefined) {
        if (waiting.size >= pendingMax) stream.destroy();
        else waiting.set(key, stream);
        return;
      }
      waiting.delete(key);
      const [error, data] = streamtype === 'data' ? [other, stream] : [stream, other];
      forward({ data, error, port: Number(data.headers['port']), podUid }, runtime).catch(() =>
        stream.destroy(),
      );
    },
  });

  await session.closed;
}

interface Forward {
  readonly data: SpdyStream;
  readonly error: SpdyStream;
  readonly port: number;
  readonly podUid: string;
}

async function forward({ data, error, port, podUid }: Forward, runtime: Runtime): Promise<void> {
  error.resume();
  try {
    const socket = await runtime.connectPort(podUid, port);
    // Each direction ends by itself: a client may half-close and still read the answer.
    await Promise.all([pipeline(data, socket, { end: true }), pipeline(socket, data, { end: true })]);
    error.end();
  } catch (failure) {
    // The client gave the connection up: what kubectl does with each one, and no error to tell.
    if (errnoOf(failure) === 'ERR_STREAM_PREMATURE_CLOSE') {
      error.end();
      data.destroy();
      return;
    }
    error.end(`error forwarding port ${port} to pod ${podUid}: ${describeError(failure)}`);
    data.end();
  }
}

/**
 * The older WebSocket protocol (v4.channel.k8s.io with `?ports=`): channel 2i is the data, 2i+1 the errors of port i; the
 * first message of each is the port, little-endian. One connection for each port.
 */
export async function servePortChannels(
  socket: WebSocket,
  ports: readonly number[],
  { runtime, podUid }: { readonly runtime: Runtime; readonly podUid: string },
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
        if (connection === undefined || connection.write(message.subarray(1))) return;
        socket.pause();
        connection.once('drain', () => socket.resume());
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
