import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { systemClock } from '#base/clock.ts';
import { SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import { websocketTransport } from './websocket-transport.ts';
import { startTestServer, type TestServer } from './test-server.fixture.ts';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasOpenssl())('the kubelet server (needs openssl for its certificates)', () => {
  let node: TestServer;
  beforeAll(async () => {
    node = await startTestServer();
  });
  afterAll(async () => node[Symbol.asyncDispose]());

  const options = (who: 'admin' | 'nobody' | 'none') => ({
    host: '127.0.0.1',
    port: node.server.port,
    ca: node.pki.ca,
    agent: false as const,
    ...(who === 'none' ? {} : node.pki[who]),
  });
  const get = async (path: string, who: 'admin' | 'nobody' | 'none' = 'admin') => {
    const request = https.get({ ...options(who), path });
    const [response] = await once(request, 'response');
    return { status: response.statusCode, body: await readText(response) };
  };

  test('tells what it is and was started with, as text or as an object', async () => {
    const ask = async (path: string, accept?: string) => {
      const request = https.get({
        ...options('admin'),
        path,
        headers: accept === undefined ? {} : { accept },
      });
      const [response] = await once(request, 'response');
      return {
        status: response.statusCode,
        type: response.headers['content-type'],
        body: await readText(response),
      };
    };
    const plain = 'text/plain; charset=utf-8';
    expect(await ask('/flagz')).toEqual({
      ...{ status: 200, type: plain },
      body: expect.stringMatching(/^\nkubelet flagz\nWarning: [^\n]*\n\nmax-pods=110\n$/),
    });
    expect((await ask('/statusz', 'application/json, */*')).body).toMatch(/^\nkubelet statusz\n/);
    expect((await ask('/statusz')).body).toMatch(/\nPaths: \/attach .*\/healthz.*\/statusz\n$/);
    const structured = await ask('/statusz', 'application/json;v=v1beta1;g=config.k8s.io;as=Statusz');
    expect(structured.type).toBe('application/json');
    expect(JSON.parse(structured.body)).toMatchObject({ kind: 'Statusz', metadata: { name: 'kubelet' } });
    expect((await ask('/statusz', 'application/json')).status).toBe(406);
  });

  test('tells who speaks HTTP without TLS that it wants TLS', async () => {
    const [response] = await once(http.get({ host: '127.0.0.1', port: node.server.port }), 'response');
    expect(response.statusCode).toBe(400);
    expect(await readText(response)).toBe('Client sent an HTTP request to an HTTPS server.\n');
    expect((await get('/healthz')).status).toBe(200);
  });

  test('says how far the rules are, and refuses what is no question', async () => {
    const ask = async (query: string) => {
      const [response] = await once(
        https.get({ ...options('admin'), path: `/endpointslices/applied?${query}` }),
        'response',
      );
      return { status: response.statusCode, body: await readText(response) };
    };
    expect(await ask('revision=3&waitMs=4000')).toEqual({ status: 200, body: '{"applied":7}' });
    expect(await ask('revision=8&waitMs=1')).toEqual({ status: 200, body: '{"applied":7}' });
    for (const query of ['', 'revision=x&waitMs=1', 'revision=1&waitMs=5001', 'revision=1&waitMs=-1'])
      expect((await ask(query)).status).toBe(400);
  });

  test('says what the node sees of so many pods at most', async () => {
    const ask = async (count: number) => {
      const path = `/networkfacts?${Array.from({ length: count }, (_, i) => `pod=${i}`).join('&')}`;
      const [response] = await once(https.get({ ...options('admin'), path }), 'response');
      return { status: response.statusCode, body: await readText(response) };
    };
    expect(await ask(2)).toEqual({ status: 200, body: '["0","1"]' });
    expect((await ask(33)).status).toBe(400);
  });

  test('counts what it is asked, whatever clients make up', async () => {
    await get('/pods');
    await get('/made/up');
    await get('/metrics/probes');
    const { body } = await get('/metrics');
    for (const path of ['pods', 'other', 'metrics/probes', 'metrics'])
      expect(body).toMatch(
        new RegExp(
          `kubelet_http_requests_total\\{long_running="false",method="GET",path="${path}",server_type="readwrite"\\} [1-9]`,
        ),
      );
    expect(body).toMatch(/kubelet_http_inflight_requests\{[^}]*path="metrics",[^}]*\} 1/);
    expect(body).toMatch(/kubelet_http_requests_duration_seconds_count\{[^}]*path="pods"/);
    expect(body).not.toContain('made');
  });

  test('lists pods and sends logs', async () => {
    expect(JSON.parse((await get('/pods')).body).items).toHaveLength(1);
    expect((await get('/containerLogs/default/web/main')).body).toBe('one\ntwo\n');
    expect((await get('/containerLogs/default/web/main?tailLines=1&timestamps=true')).body).toBe(
      '2026-01-01T00:00:01Z two\n',
    );
    expect(await get('/containerLogs/default/no/main')).toEqual({
      status: 404,
      body: 'pod "no" does not exist\n',
    });
    expect(await get('/containerLogs/default/web/main?previous=true')).toEqual({
      status: 400,
      body: 'previous terminated container "main" in pod "web" not found',
    });
    expect((await get('/containerLogs/default/web/main?tailLines=x')).status).toBe(400);
  });

  test.each(['//', '/%zz', '/containerLogs/default/%c3/main', '/exec/default/%/main'])(
    'says that a path is malformed: %s',
    async (path) => {
      expect(await get(path)).toEqual({ status: 400, body: 'the path of the request is malformed\n' });
    },
  );

  test('refuses streams with words', async () => {
    expect((await get('/exec/default/web/main?command=true')).body).toMatch(
      'at least 1 of stdin, stdout, stderr',
    );
    expect((await get('/exec/default/web/other?command=true&output=1')).status).toBe(500);
    expect((await get('/exec/default/web/main?command=true&output=1')).body).toMatch(
      'Upgrade request required',
    );
  });

  describe('exec over WebSocket', () => {
    const exec = async (query: string, protocol: string, onOpen?: (socket: WebSocket) => void) => {
      const url = `wss://127.0.0.1:${node.server.port}/exec/default/web/main?${query}`;
      const socket = new WebSocket(url, [protocol], {
        ca: node.pki.ca,
        ...node.pki.admin,
        perMessageDeflate: false,
      });
      const channels: Buffer[][] = [[], [], [], [], []];
      socket.on('message', (raw: Buffer) => channels[raw[0] ?? 0]?.push(raw.subarray(1)));
      socket.on('open', () => onOpen?.(socket));
      const [code] = await once(socket, 'close');
      const text = (channel: number): string => Buffer.concat(channels[channel] ?? []).toString();
      return {
        code,
        stdout: text(1),
        stderr: text(2),
        error: text(3),
        stdoutBytes: Buffer.concat(channels[1] ?? []),
      };
    };
    const sh = (script: string): string => `command=sh&command=-c&command=${encodeURIComponent(script)}`;

    test('sends output, and the exit code as a Status', async () => {
      const result = await exec(
        `${sh('echo out; echo err >&2; exit 3')}&output=1&error=1`,
        'v5.channel.k8s.io',
      );
      expect(result).toMatchObject({ code: 1000, stdout: 'out\n', stderr: 'err\n' });
      expect(JSON.parse(result.error)).toMatchObject({
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '3' }] },
      });
    });

    test('half-closes stdin in v5', async () => {
      const result = await exec('command=cat&input=1&output=1', 'v5.channel.k8s.io', (socket) => {
        socket.send(Buffer.from('\0hello'));
        socket.send(Buffer.from([255, 0]));
      });
      expect(result.stdout).toBe('hello');
      expect(JSON.parse(result.error)).toEqual({ metadata: {}, status: 'Success' });
    });

    test('resizes', async () => {
      const result = await exec(
        `${sh('read size; echo $size')}&input=1&output=1&tty=1`,
        'v4.channel.k8s.io',
        (socket) => {
          socket.send(Buffer.concat([Buffer.from([4]), Buffer.from('{"Width":80,"Height":24}\n')]));
        },
      );
      expect(result.stdout).toBe('80x24\n');
    });

    test('carries 20 MB both ways without loss', async () => {
      const size = 20_000_000;
      const result = await exec(`command=cat&input=1&output=1`, 'v5.channel.k8s.io', (socket) => {
        for (let sent = 0; sent < size; sent += 1_000_000) socket.send(Buffer.alloc(1_000_001));
        socket.send(Buffer.from([255, 0]));
      });
      expect(result.stdoutBytes).toHaveLength(size);
    });
  });

  /** An upgraded connection as the API server hands it on. */
  const upgrade = async (
    path: string,
    protocol: string,
  ): Promise<{ socket: Duplex; negotiated: unknown }> => {
    const request = https.request({
      ...options('admin'),
      path,
      method: 'POST',
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol },
    });
    request.end();
    const [response, socket, head] = await once(request, 'upgrade');
    if (head.length > 0) socket.unshift(head);
    return { socket, negotiated: response.headers['x-stream-protocol-version'] };
  };
  const spdyClient = (transport: Duplex) =>
    new SpdySession({ transport, isServer: false, clock: systemClock, onStream: () => undefined });

  test('exec over SPDY', async () => {
    const { socket, negotiated } = await upgrade(
      '/exec/default/web/main?command=cat&input=1&output=1&error=1',
      'v5.channel.k8s.io, v4.channel.k8s.io, v3.channel.k8s.io',
    );
    expect(negotiated).toBe('v4.channel.k8s.io');
    await using session = spdyClient(socket);

    const open = (streamtype: string): Promise<SpdyStream> => session.open({ streamtype });
    const error = await open('error');
    const stdin = await open('stdin');
    const stdout = await open('stdout');
    await open('stderr');
    error.end();
    stdin.end('through spdy');
    expect(await readText(stdout)).toBe('through spdy');
    expect(JSON.parse(await readText(error))).toMatchObject({ status: 'Success' });
  });

  const forwardOnce = async (session: SpdySession, port: string, text: string) => {
    const error = await session.open({ streamtype: 'error', port, requestid: text });
    error.end();
    const data = await session.open({ streamtype: 'data', port, requestid: text });
    data.end(text);
    return { data: await readText(data), error: await readText(error) };
  };

  test('port-forward over SPDY, several connections at once', async () => {
    const { socket } = await upgrade('/portForward/default/web', 'portforward.k8s.io');
    await using session = spdyClient(socket);

    const results = await Promise.all(['a', 'b', 'c'].map((text) => forwardOnce(session, '80', text)));
    expect(results).toEqual(['a', 'b', 'c'].map((data) => ({ data, error: '' })));
    const refused = await forwardOnce(session, '9', 'x');
    expect(refused.error).toMatch('error forwarding port 9');
  });

  test('port-forward through a WebSocket tunnel', async () => {
    // The ws client cannot offer a name with a slash either: the upgrade is written by hand, the frames are its.
    const request = https.request({
      ...options('admin'),
      path: '/portForward/default/web',
      headers: {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': Buffer.alloc(16).toString('base64'),
        'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io',
      },
    });
    request.end();
    const [response, socket, head] = await once(request, 'upgrade');
    expect(response.headers['sec-websocket-protocol']).toBe('SPDY/3.1+portforward.k8s.io');
    const client: WebSocket = Reflect.construct(WebSocket, [null, undefined, {}]);
    Reflect.set(client, '_isServer', false);
    Reflect.apply(Reflect.get(client, 'setSocket'), client, [
      socket,
      head,
      { maxPayload: 0, skipUTF8Validation: false },
    ]);
    await using session = spdyClient(websocketTransport(client));

    expect(await forwardOnce(session, '80', 'tunnel')).toEqual({ data: 'tunnel', error: '' });
  });

  test('port-forward over the older channels', async () => {
    const url = `wss://127.0.0.1:${node.server.port}/portForward/default/web?port=80`;
    const socket = new WebSocket(url, ['v4.channel.k8s.io'], { ca: node.pki.ca, ...node.pki.admin });
    const messages: Buffer[] = [];
    const echoed = Promise.withResolvers<void>();
    socket.on('message', (raw: Buffer) => {
      messages.push(raw);
      if (raw.toString() === '\0ping') echoed.resolve();
    });
    await once(socket, 'open');
    socket.send(Buffer.from('\0ping'));
    await echoed.promise;
    expect(messages.slice(0, 2).map((m) => m.toString('hex'))).toEqual(['005000', '015000']);
    socket.close();
  });
});

async function readText(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
