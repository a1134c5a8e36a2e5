import { array, constantFrom, integer, oneof, record, uint8Array, type Arbitrary } from 'fast-check';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { createHttpServer } from '#control-plane/apiserver/http-server.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import { textResponse } from '#control-plane/apiserver/respond.ts';
import { http2Frame, http2Preface } from '#test/attack/peers.ts';
import { fuzz } from './fuzz.ts';

let server: ReturnType<typeof createHttpServer>;
let port = 0;
const requests = { inFlight: 0 };
let cases = 0;

beforeAll(async () => {
  const serving = await createAuthority('test', Date.now());
  server = createHttpServer({
    serving,
    caCertPem: serving.certPem,
    logger: silentLogger,
    handle: async (request) => {
      requests.inFlight++;
      try {
        const body = await request.readBody();
        return textResponse(200, String(body.byteLength));
      } catch {
        return textResponse(400, 'no body');
      } finally {
        requests.inFlight--;
      }
    },
    upgrade: async (_request, { socket }) => void socket.destroy(),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())));

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
    for (let turn = 0; requests.inFlight > 0 && turn < 1000; turn++)
      await new Promise((resolve) => setTimeout(resolve, 1));
    expect(requests.inFlight).toBe(0);
  },
});
