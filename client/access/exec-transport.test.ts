import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import { once } from 'node:events';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { selfSigned } from '#client/self-signed.fixture.ts';
import { createExecTransport } from './exec-transport.ts';

const { certPem, keyPem } = await selfSigned();
const seen: string[] = [];
let refused = new Set<string>();
const server: Http2SecureServer = createSecureServer({ cert: certPem, key: keyPem });
server.on('stream', (stream: ServerHttp2Stream, headers) => {
  const token = String(headers.authorization);
  seen.push(token);
  stream.respond({ ':status': refused.has(token) ? 401 : 200 });
  stream.end('{}');
});
await once(server.listen(0, '127.0.0.1'), 'listening');
afterAll(() => server.close());
beforeEach(() => {
  seen.length = 0;
  refused = new Set();
});

function open(lifeMs: number | undefined) {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  let runs = 0;
  const transport = createExecTransport(
    { server: `https://127.0.0.1:${port}`, caPem: certPem, clock },
    async () => {
      const expiresMs = lifeMs === undefined ? undefined : clock.now() + lifeMs;
      return { token: `t${++runs}`, clientCertPem: undefined, clientKeyPem: undefined, expiresMs };
    },
  );
  const get = async (): Promise<number> =>
    (await transport.request({ method: 'GET', path: '/', headers: {} })).status;
  return { clock, transport, get };
}

it('asks once for many requests, and again before the end', async () => {
  const { clock, transport, get } = open(60_000);
  expect(await Promise.all([get(), get(), get()])).toEqual([200, 200, 200]);
  clock.advance(49_000);
  await get();
  clock.advance(2000);
  await get();
  expect(seen).toEqual(['Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t1', 'Bearer t2']);
  await transport[Symbol.asyncDispose]();
});

it('asks once more when the server does not know it, and then says so', async () => {
  const { transport, get } = open(undefined);
  refused.add('Bearer t1');
  expect(await get()).toBe(200);
  refused.add('Bearer t2').add('Bearer t3');
  expect(await get()).toBe(401);
  expect(seen).toEqual(['Bearer t1', 'Bearer t2', 'Bearer t2', 'Bearer t3']);
  await transport[Symbol.asyncDispose]();
});
