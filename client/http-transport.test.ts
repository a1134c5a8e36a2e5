import {
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { configMaps } from '#api/schema/kind-ref.ts';
import { createApiClient } from './api-client.ts';
import { isExpired, isNotFound } from './api-error.ts';
import type { ApiClient } from './client.ts';
import { createHttpTransport } from './http-transport.ts';
import type { Transport } from './transport.ts';
import { selfSigned } from './self-signed.fixture.ts';

interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly client: ApiClient;
  readonly transport: Transport;
  readonly seen: readonly string[];
  /** Cuts every connection, as a server that is killed does. */
  cut(): void;
  readonly connectionCount: () => number;
}

async function startServer(
  answer: (path: string) => { status: number; body: string } | 'hang' | 'silence',
): Promise<TestServer> {
  const { certPem, keyPem } = await selfSigned();
  const server: Http2SecureServer = createSecureServer({ cert: certPem, key: keyPem });
  const sessions = new Set<ServerHttp2Session>();
  const seen: string[] = [];
  let connectionCount = 0;
  server.on('session', (session) => {
    connectionCount += 1;
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, head) => {
    const path = String(head[':path']);
    seen.push(`${String(head[':method'])} ${path} ${String(head['authorization'] ?? '')}`.trim());
    const result = answer(path);
    if (result === 'silence') return undefined;
    if (result === 'hang') return stream.respond({ ':status': 200 });
    stream.respond({ ':status': result.status, 'content-type': 'application/json' });
    return stream.end(result.body);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const transport = createHttpTransport({
    server: `https://127.0.0.1:${port}`,
    caPem: certPem,
    token: 'secret',
    clock: systemClock,
  });
  return {
    url: `https://127.0.0.1:${port}`,
    client: createApiClient({ transport, userAgent: 'test' }),
    transport,
    seen,
    cut: () => sessions.forEach((session) => session.destroy()),
    connectionCount: () => connectionCount,
    [Symbol.asyncDispose]: async () => {
      await transport[Symbol.asyncDispose]();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const where = { namespace: 'default', name: 'a' };
const event = (type: string, object: object): string => `${JSON.stringify({ type, object })}\n`;

it('a watch that is never begun fails, so that it is begun anew', async () => {
  await using server = await startServer(() => 'silence');
  const stream = server.transport.request({
    method: 'GET',
    path: '/x',
    headers: {},
    stream: true,
    headMsMax: 50,
  });
  await expect(stream).rejects.toThrow(/not begun in 50 ms/);
});

it('requests share one connection and carry the token', async () => {
  await using server = await startServer(() => ({ status: 200, body: '{"metadata":{"name":"a"}}' }));
  const made = Array.from({ length: 20 }, () => server.client.get(configMaps, where));
  for (const map of await Promise.all(made)) expect(map.metadata?.name).toBe('a');
  expect(server.connectionCount()).toBe(1);
  expect(server.seen[0]).toBe('GET /api/v1/namespaces/default/configmaps/a Bearer secret');
});

it('a Status answer is an error with its reason', async () => {
  const body = JSON.stringify({
    kind: 'Status',
    reason: 'NotFound',
    code: 404,
    message: 'configmaps "a" not found',
  });
  await using server = await startServer(() => ({ status: 404, body }));
  await expect(server.client.get(configMaps, where)).rejects.toSatisfy(isNotFound);
});

it('a connection that breaks is E_CONNECTION, and the next request opens another', async () => {
  let isHanging = true;
  await using server = await startServer(() => (isHanging ? 'hang' : { status: 200, body: '{}' }));
  const broken = server.client.get(configMaps, where);
  await expect.poll(() => server.seen.length).toBe(1);
  server.cut();
  await expect(broken).rejects.toSatisfy((error) => isPodwrightError(error, 'E_CONNECTION'));
  isHanging = false;
  expect(await server.client.get(configMaps, where)).toEqual({});
  expect(server.connectionCount()).toBe(2);
});

it('a watch gives events and bookmarks as they come, and an ERROR event as an error', async () => {
  const lines = [
    event('ADDED', { metadata: { name: 'ä' } }),
    event('BOOKMARK', {
      metadata: { resourceVersion: '7', annotations: { 'k8s.io/initial-events-end': 'true' } },
    }),
    event('ERROR', { kind: 'Status', reason: 'Expired', code: 410, message: 'too old' }),
  ];
  await using server = await startServer(() => ({ status: 200, body: lines.join('') }));
  const seen: unknown[] = [];
  const watching = (async () => {
    for await (const one of server.client.watch(
      configMaps,
      { resourceVersion: '1' },
      AbortSignal.timeout(150_000),
    )) {
      seen.push(one);
    }
  })();
  await expect(watching).rejects.toSatisfy(isExpired);
  expect(seen).toEqual([
    { type: 'ADDED', object: { metadata: { name: 'ä' } } },
    { type: 'BOOKMARK', resourceVersion: '7', initialEventsEnd: true },
  ]);
});

it('a watch ends by its signal, and by a broken connection with E_CONNECTION', async () => {
  await using server = await startServer(() => 'hang');
  const drain = async (signal: AbortSignal): Promise<void> => {
    for await (const _ of server.client.watch(configMaps, {}, signal)) expect.unreachable();
  };
  const abort = new AbortController();
  const aborted = drain(abort.signal);
  await expect.poll(() => server.seen.length).toBe(1);
  abort.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  const cut = drain(AbortSignal.timeout(150_000));
  await expect.poll(() => server.seen.length).toBe(2);
  server.cut();
  await expect(cut).rejects.toSatisfy((error) => isPodwrightError(error, 'E_CONNECTION'));
});

it('a server that is not there is E_CONNECTION', async () => {
  await using transport = createHttpTransport({ server: 'https://127.0.0.1:1', clock: systemClock });
  const client = createApiClient({ transport, userAgent: 'test' });
  await expect(client.get(configMaps, where)).rejects.toSatisfy((error) =>
    isPodwrightError(error, 'E_CONNECTION'),
  );
});

it('a server with another certificate is refused', async () => {
  await using server = await startServer(() => ({ status: 200, body: '{}' }));
  const other = await selfSigned();
  await using transport = createHttpTransport({
    server: server.url,
    caPem: other.certPem,
    clock: systemClock,
  });
  const client = createApiClient({ transport, userAgent: 'test' });
  await expect(client.get(configMaps, where)).rejects.toSatisfy((error) =>
    isPodwrightError(error, 'E_CONNECTION'),
  );
});

it('lets nothing over a connection before it is admitted, and asks again about the next one', async () => {
  await using server = await startServer((path) => ({ status: 200, body: JSON.stringify({ path }) }));
  const asked: string[] = [];
  let gate = Promise.withResolvers<void>();
  await using transport = createHttpTransport({
    server: server.url,
    insecureSkipTlsVerify: true,
    clock: systemClock,
    admit: async (ask) => {
      const { status } = await ask('/identity');
      asked.push(String(status));
      await gate.promise;
    },
  });
  const client = createApiClient({ transport, userAgent: 'test' });
  const [first, second] = [client.raw('GET', '/one'), client.raw('GET', '/two')];
  await expect.poll(() => asked).toEqual(['200']);
  expect(server.seen.map((line) => line.split(' ')[1])).toEqual(['/identity']);
  gate.resolve();
  await Promise.all([first, second]);
  expect(server.seen.map((line) => line.split(' ')[1])).toEqual(['/identity', '/one', '/two']);

  gate = Promise.withResolvers<void>();
  server.cut();
  const third = client.raw('GET', '/three').catch(() => client.raw('GET', '/three'));
  await expect.poll(() => asked.length).toBe(2);
  gate.reject(new Error('another cluster'));
  await expect(third).rejects.toThrow('another cluster');
  expect(server.seen.some((line) => line.includes('/three'))).toBe(false);
});

it('a request that waits for admission ends with its signal, and with the connection', async () => {
  await using server = await startServer(() => ({ status: 200, body: '{}' }));
  const asked = Promise.withResolvers<void>();
  await using transport = createHttpTransport({
    server: server.url,
    insecureSkipTlsVerify: true,
    clock: systemClock,
    admit: async (ask) => {
      await ask('/identity');
      asked.resolve();
      await new Promise(() => undefined);
    },
  });
  const abort = new AbortController();
  const request = { method: 'GET', path: '/x', headers: {} };
  const aborted = transport.request({ ...request, signal: abort.signal });
  const cut = transport.request(request);
  await asked.promise;
  abort.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  server.cut();
  await expect(cut).rejects.toMatchObject({ code: 'E_CONNECTION' });
});
