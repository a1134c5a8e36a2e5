import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { Probe } from '#api/generated/objects.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { headersOf, type HandlerResult } from './handler.ts';
import { runProbe } from './probe-loop.ts';

const closed: string[] = [];
let seen: readonly string[] = [];
const runtime = createFakeRuntime({ clock: systemClock });
const web = http.createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://x');
  seen = request.rawHeaders;
  if (pathname === '/slow') return;
  if (pathname === '/endless' || pathname === '/endless-bad') {
    response.writeHead(pathname === '/endless' ? 200 : 500);
    const send = (): void => {
      while (response.write('x'.repeat(4_096)));
    };
    response.on('drain', send);
    send();
    response.once('close', () => closed.push(pathname));
    return;
  }
  if (pathname === '/broken') {
    response.write('x', () => void setImmediate(() => response.destroy()));
    return;
  }
  if (pathname === '/circle') response.writeHead(302, { location: '/circle' });
  else if (pathname === '/nowhere') response.writeHead(302);
  else if (pathname === '/choices') response.writeHead(300, { location: '/bad' });
  else if (pathname === '/long-header') response.writeHead(200, { 'x-long': 'x'.repeat(100_000) });
  else if (pathname === '/longer-header') response.writeHead(200, { 'x-long': 'x'.repeat(1_100_000) });
  else if (pathname === '/redirect') response.writeHead(302, { location: '/ok' });
  else if (pathname === '/away') response.writeHead(302, { location: 'http://192.0.2.1/' });
  else response.writeHead(pathname === '/ok' && request.headers['x-probe'] !== 'no' ? 200 : 503);
  response.end();
});
/** As what a script writes to a busybox's httpd. */
const bareLines = createServer((socket) => {
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\nContent-type: text/plain\n\nbody\n'));
});
const statusOf: Readonly<Record<string, number>> = { up: 1, down: 2, ['long'.repeat(75)]: 1 };
const grpc = http2.createServer();
grpc.on('stream', (stream: http2.ServerHttp2Stream) => {
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    // Tag, length as a varint of one or two bytes, name.
    const [first = 0, second = 0] = chunk.subarray(6);
    const [start, length] = first < 0x80 ? [7, first] : [8, (first & 0x7f) | (second << 7)];
    const service = chunk.subarray(start, start + length).toString();
    if (service === 'endless') {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const send = (): void => {
        while (stream.write(Buffer.alloc(4_096)));
      };
      stream.on('drain', send);
      send();
      return;
    }
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
  let barePort = 0;
  let grpcPort = 0;
  beforeAll(async () => {
    httpPort = await listen(web);
    barePort = await listen(bareLines);
    grpcPort = await listen(grpc);
  });
  afterAll(() => {
    web.close();
    web.closeAllConnections();
    bareLines.close();
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

  const unasked = { errored: 'unknown' } as const;
  const plain: Partial<HandlerResult> = {};
  test.each<[string, () => Probe, boolean, string, Partial<HandlerResult>?]>([
    ['a good answer', () => get('/ok'), true, ''],
    ['an answer of lines without CR', () => ({ httpGet: { port: barePort } }), true, 'body'],
    ['a bad answer', () => get('/bad'), false, 'HTTP probe failed with statuscode: 503'],
    ['a header', () => get('/ok', [{ name: 'X-Probe', value: 'no' }]), false, '503'],
    ['a redirect to the same host', () => get('/redirect'), true, ''],
    ['a redirect elsewhere', () => get('/away'), true, 'terminated redirects', { isWarning: true }],
    [
      'no answer in time',
      () => ({ ...get('/slow'), timeoutSeconds: 0.2 }),
      false,
      'probe timed out after 0.2s',
    ],
    ['another host', () => ({ httpGet: { port: 'web', host: '127.0.0.9' } }), false, 'ECONNREFUSED'],
    ['TLS where there is none', () => ({ httpGet: { port: 'web', scheme: 'HTTPS' } }), false, 'SSL'],
    [
      'a port that nobody has',
      () => ({ httpGet: { port: 'none' } }),
      false,
      "couldn't find port: none",
      unasked,
    ],
    ['an open port', () => ({ tcpSocket: { port: httpPort } }), true, ''],
    [
      'an open port of another host',
      () => ({ tcpSocket: { port: httpPort, host: '127.0.0.9' } }),
      false,
      'ECONNREFUSED',
    ],
    ['a closed port', () => ({ tcpSocket: { port: 1 } }), false, 'ECONNREFUSED'],
    ['a serving service', () => ({ grpc: { port: grpcPort, service: 'up' } }), true, ''],
    ['a service that is down', () => ({ grpc: { port: grpcPort, service: 'down' } }), false, 'NOT_SERVING'],
    ['an unknown service', () => ({ grpc: { port: grpcPort, service: 'none' } }), false, 'grpc status 5'],
    ['a service of a long name', () => ({ grpc: { port: grpcPort, service: 'long'.repeat(75) } }), true, ''],
    [
      'an endless answer of a service',
      () => ({ grpc: { port: grpcPort, service: 'endless' } }),
      false,
      'message larger than',
    ],
    ['a good answer without an end', () => get('/endless'), true, 'x'.repeat(10_240)],
    ['a bad answer without an end', () => get('/endless-bad'), false, 'statuscode: 500'],
    ['an answer that breaks off', () => get('/broken'), false, 'read the body: ', { errored: 'failure' }],
    ['a circle of redirects', () => get('/circle'), false, 'stopped after 10 redirects'],
    ['a redirect without a place', () => get('/nowhere'), true, 'terminated redirects', { isWarning: true }],
    [
      'a choice of places, which is not followed',
      () => get('/choices'),
      true,
      'terminated redirects',
      { isWarning: true },
    ],
    ['a command where there is no container', () => ({ exec: { command: ['x'] } }), false, '', unasked],
    ['a long header', () => get('/long-header'), true, ''],
    ['a header that is too long', () => get('/longer-header'), false, 'Header overflow'],
    ['no gRPC server', () => ({ grpc: { port: 1 } }), false, 'failed to connect'],
  ])('%s', async (_name, probe, isSuccess, output, more = plain) => {
    const result = await run(probe());
    expect(result).toEqual({ isSuccess, output: expect.stringContaining(output), ...more });
    expect(result.output.length).toBeLessThan(10_400);
  });

  test('closes the connection of an answer without an end', async () => {
    closed.length = 0;
    await run(get('/endless'));
    await vi.waitFor(() => expect(closed).toEqual(['/endless']), 60_000);
  });

  test('sends headers as often as they are given, as bytes', async () => {
    await run(
      get('/ok', [
        { name: 'X-A', value: '1' },
        { name: 'x-a', value: 'ä' },
        { name: 'User-Agent', value: '' },
        { name: 'Host', value: 'h' },
      ]),
    );
    expect(seen).toEqual([
      'Host',
      'h',
      'Accept',
      '*/*',
      'Connection',
      'close',
      'X-A',
      '1',
      'x-a',
      '\u00c3\u00a4',
    ]);
  });
});

describe('headersOf()', () => {
  const url = new URL('http://10.0.0.1:8080/');
  const own = ['User-Agent', 'u', 'Accept', '*/*', 'Connection', 'close'];
  const host = ['Host', '10.0.0.1:8080'];
  test.each<[string, readonly (readonly [string, string])[], boolean, readonly string[]]>([
    ['nothing', [], false, [...host, ...own]],
    [
      'another Host, of which the first counts',
      [
        ['host', 'a'],
        ['Host', 'b'],
      ],
      false,
      ['Host', 'a', ...own],
    ],
    ['an empty Host', [['Host', '']], false, [...host, ...own]],
    ['a Host where a redirect names another', [['Host', 'a']], true, [...host, ...own]],
    ['its own User-Agent', [['user-agent', 'x']], false, [...host, 'User-Agent', 'x', ...own.slice(2)]],
    ['no User-Agent', [['User-Agent', '']], false, [...host, ...own.slice(2)]],
    ['no Accept', [['Accept', '']], false, [...host, ...own.slice(0, 2), ...own.slice(4)]],
    [
      'its own Accept, twice',
      [
        ['Accept', 'a'],
        ['Accept', 'b'],
      ],
      false,
      [...host, ...own.slice(0, 2), ...own.slice(4), 'Accept', 'a', 'Accept', 'b'],
    ],
    ['its own Connection', [['Connection', 'x']], false, [...host, ...own.slice(0, 4), 'Connection', 'x']],
    [
      'a length of a body',
      [
        ['Content-Length', '9'],
        ['Transfer-Encoding', 'chunked'],
      ],
      false,
      [...host, ...own],
    ],
  ])('%s', (_name, given, isElsewhere, want) => {
    const action = { port: 8080, httpHeaders: given.map(([name, value]) => ({ name, value })) };
    expect(headersOf(action, url, { userAgent: 'u', isElsewhere })).toEqual(want);
  });
});
