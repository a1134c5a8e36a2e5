import { array, constantFrom, integer, oneof, record, uint8Array, type Arbitrary } from 'fast-check';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { createHttpServer } from '#control-plane/apiserver/serve/http-server.ts';
import { RequestTurns } from '#control-plane/apiserver/serve/request-turns.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import type { ApiRequest, ApiResponse, ByteSink } from '#control-plane/apiserver/serve/request.ts';
import { textResponse } from '#control-plane/apiserver/serve/respond.ts';
import { http2Frame, http2Preface } from '#test/attack/peers.ts';
import { fuzz } from './fuzz.ts';
import { endedStreams, session } from './http2-session.fixture.ts';

let server: ReturnType<typeof createHttpServer>;
let port = 0;
const requests = { inFlight: 0 };
let cases = 0;
const sockets = new Set<Socket>();

beforeAll(async () => {
  const serving = await createAuthority('test', Date.now());
  server = createHttpServer({
    turns: new RequestTurns(),
    serving,
    caCertPem: serving.certPem,
    logger: silentLogger,
    handle: async (request) => {
      requests.inFlight++;
      try {
        return await answerTo(request);
      } catch {
        return textResponse(400, 'no body');
      } finally {
        requests.inFlight--;
      }
    },
    upgrade: async (_request, { socket }) => void socket.destroy(),
    limits: { connectionIdleMs: 2000, answeringMs: 2000 },
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
/** docs/bugs.md, "A connection of HTTP/2 stayed": of thousands one may stay longer than this. */
const connectionsEndMs = 15_000;
afterAll(async () => {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  const timer = setTimeout(() => {
    console.log(`HTTP/2: ${sockets.size} connections had not ended after ${connectionsEndMs} ms`);
    for (const socket of sockets) socket.destroy();
  }, connectionsEndMs);
  await closed;
  clearTimeout(timer);
}, 180_000);

/** The kinds of answers that there are: short, large, a stream that goes on, one that is waited for, a failure. */
async function answerTo(request: ApiRequest): Promise<ApiResponse> {
  if (request.path === '/fail') throw new Error('as asked');
  if (request.path === '/slow')
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 10);
      request.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  if (request.path === '/big') return textResponse(200, 'x'.repeat(300_000));
  if (request.path !== '/stream') return textResponse(200, String((await request.readBody()).byteLength));
  const stream = async (sink: ByteSink): Promise<void> => {
    requests.inFlight++;
    try {
      for (let at = 0; at < 5 && !request.signal.aborted; at++) {
        if (!sink.write(Buffer.alloc(1000))) await sink.drained();
        await new Promise(setImmediate);
      }
    } finally {
      requests.inFlight--;
    }
  };
  return { status: 200, headers: {}, body: stream };
}

const bytes = (maxLength: number): Arbitrary<Buffer> =>
  uint8Array({ maxLength }).map((array) => Buffer.from(array));
const headers = constantFrom(
  Buffer.from([0x83, 0x87, 0x84]), // POST, https, /
  Buffer.from([0x82, 0x87, 0x84]), // GET
  Buffer.from([0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f]), // A table size beyond all bounds.
);
const frame: Arbitrary<Buffer> = record({
  type: integer({ min: 0, max: 12 }),
  flags: integer({ min: 0, max: 255 }),
  streamId: oneof(integer({ min: 0, max: 7 }), integer({ min: 0, max: 0x7fff_ffff })),
  payload: oneof(bytes(40), headers),
}).map(({ type, flags, streamId, payload }) => http2Frame(type, flags, streamId, payload));

async function isAnswering(): Promise<boolean> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  const stream = session.request({ ':path': '/' });
  const [head] = await once(stream, 'response');
  session.destroy();
  return head[':status'] === 200;
}

fuzz('HTTP/2 frames: the server goes on, and nothing stays in flight', {
  arbitrary: array(frame, { minLength: 1, maxLength: 60, size: 'max' }),
  check: async (frames) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    socket.resume();
    socket.write(Buffer.concat([http2Preface, ...frames]));
    await new Promise(setImmediate);
    const closed = once(socket, 'close');
    socket.end();
    await new Promise((resolve) => setTimeout(resolve, 2));
    socket.destroy();
    await closed;
    // A connection of its own costs more than the frames: asked now and then.
    if (++cases % 20 === 1) expect(await isAnswering()).toBe(true);
    await expectQuiet();
  },
});

const answerMs = 60_000;
/** Longer than it takes to find a connection of which Node tells nothing (quiet-connections.ts). */
const quietMs = 60_000;

async function expectQuiet(): Promise<void> {
  const deadline = performance.now() + quietMs;
  while (requests.inFlight > 0 && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 1));
  expect(requests.inFlight).toBe(0);
}

fuzz('HTTP/2 sessions with frames changed: what is sound is answered, and all ends with the client', {
  arbitrary: session,
  check: async ({ bytes: sent, answered, pieceBytes, ending }) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => void received.push(chunk));
    const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
    for (let at = 0; at < sent.length && socket.writable; at += pieceBytes) {
      socket.write(sent.subarray(at, at + pieceBytes));
      if (at < 20 * pieceBytes) await new Promise(setImmediate);
    }
    const isEnded = (): boolean => answered.every((id) => endedStreams(Buffer.concat(received)).has(id));
    if (answered.length > 0) {
      const deadline = performance.now() + answerMs;
      while (!isEnded() && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 1));
      expect(isEnded(), 'each sound request is answered').toBe(true);
    } else if (ending === 'wait') {
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    if (ending === 'end') {
      socket.end();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    socket.destroy();
    await closed;
    if (++cases % 20 === 1) expect(await isAnswering()).toBe(true);
    await expectQuiet();
  },
});
