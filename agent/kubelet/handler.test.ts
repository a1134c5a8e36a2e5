import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { Probe } from '#api/objects.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { runProbe } from './probe-loop.ts';

const runtime = createFakeRuntime({ clock: systemClock });
const web = http.createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://x');
  if (pathname === '/slow') return;
  if (pathname === '/redirect') response.writeHead(302, { location: '/ok' });
  else if (pathname === '/away') response.writeHead(302, { location: 'http://192.0.2.1/' });
  else response.writeHead(pathname === '/ok' && request.headers['x-probe'] !== 'no' ? 200 : 503);
  response.end();
});
const statusOf: Readonly<Record<string, number>> = { up: 1, down: 2 };
const grpc = http2.createServer();
grpc.on('stream', (stream: http2.ServerHttp2Stream) => {
  stream.on('data', (chunk: Buffer) => {
    const service = chunk.subarray(7).toString();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': service in statusOf ? '0' : '5' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, statusOf[service] ?? 0]));
  });
});

async function listen(server: Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('runProbe()', () => {
  let httpPort = 0;
  let grpcPort = 0;
  beforeAll(async () => {
    httpPort = await listen(web);
    grpcPort = await listen(grpc);
  });
  afterAll(() => {
    web.close();
    web.closeAllConnections();
    grpc.close();
  });

  const run = async (probe: Probe) => {
    const container = { name: 'c', ports: [{ name: 'web', containerPort: httpPort }] };
    const target = { pod: { metadata: { uid: 'u' } }, container, containerId: 'x', podIp: '127.0.0.1' };
    const { signal } = new AbortController();
    return runProbe({ timeoutSeconds: 30, ...probe }, target, { runtime, clock: systemClock }, signal);
  };
  const get = (path: string, headers: readonly { name: string; value: string }[] = []): Probe => ({
    httpGet: { path, port: 'web', httpHeaders: headers },
  });

  test.each([
    ['a good answer', () => get('/ok'), true, ''],
    ['a bad answer', () => get('/bad'), false, 'HTTP probe failed with statuscode: 503'],
    ['a header', () => get('/ok', [{ name: 'X-Probe', value: 'no' }]), false, '503'],
    ['a redirect to the same host', () => get('/redirect'), true, ''],
    ['a redirect elsewhere', () => get('/away'), true, 'terminated redirects'],
    [
      'no answer in time',
      () => ({ ...get('/slow'), timeoutSeconds: 0.2 }),
      false,
      'probe timed out after 0.2s',
    ],
    ['a port that nobody has', () => ({ httpGet: { port: 'none' } }), false, "couldn't find port: none"],
    ['an open port', () => ({ tcpSocket: { port: httpPort } }), true, ''],
    ['a closed port', () => ({ tcpSocket: { port: 1 } }), false, 'ECONNREFUSED'],
    ['a serving service', () => ({ grpc: { port: grpcPort, service: 'up' } }), true, ''],
    ['a service that is down', () => ({ grpc: { port: grpcPort, service: 'down' } }), false, 'NOT_SERVING'],
    ['an unknown service', () => ({ grpc: { port: grpcPort, service: 'none' } }), false, 'grpc status 5'],
    ['no gRPC server', () => ({ grpc: { port: 1 } }), false, 'failed to connect'],
  ])('%s', async (_name, probe, isSuccess, output) => {
    const result = await run(probe());
    expect(result).toMatchObject({ isSuccess, output: expect.stringContaining(output) });
  });
});
