import { get as getPlain, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ServerHttp2Stream,
} from 'node:http2';
import { Agent, get, request as requestHttp1 } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import { bodiesBytesMax } from './http-exchange.ts';
import { doorLimits } from './door-limits.ts';
import { createHttpServer } from './http-server.ts';
import { RequestTurns } from './request-turns.ts';
import { bodyBytesMax, type ApiRequest, type ApiResponse } from './request.ts';
import { errorResponse, textResponse } from './respond.ts';

interface Running extends AsyncDisposable {
  readonly port: number;
  readonly session: ClientHttp2Session;
  /** Shows the streams that begin from now on, as the server has them. */
  readonly onStream: (listener: (stream: ServerHttp2Stream) => void) => void;
}

/** A server with one handler, and an HTTP/2 connection to it. */
async function serve(handle: (request: ApiRequest) => Promise<ApiResponse>): Promise<Running> {
  const serving = await createAuthority('test', Date.now());
  const answer = (request: ApiRequest): Promise<ApiResponse> => handle(request).catch(errorResponse);
  const server = createHttpServer({
    turns: new RequestTurns(),
    serving,
    caCertPem: serving.certPem,
    logger: silentLogger,
    handle: answer,
    upgrade: async () => {},
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {}); // Each stream tells.
  return {
    port,
    session,
    onStream: (listener) => void server.on('stream', listener),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      session.destroy();
      server.close();
      await closed;
    },
  };
}

async function read(stream: ClientHttp2Stream): Promise<{ readonly status: number; readonly text: string }> {
  const [head] = await once(stream, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { status: Number(head[':status']), text: Buffer.concat(chunks).toString() };
}

it('tells who speaks HTTP without TLS that it wants TLS', async () => {
  await using server = await serve(async () => textResponse(200, 'ok'));

  const [response] = await once(getPlain({ host: '127.0.0.1', port: server.port }), 'response');
  expect((response as IncomingMessage).statusCode).toBe(400);
  expect(await text(response as IncomingMessage)).toBe('Client sent an HTTP request to an HTTPS server.\n');
});

const echo = async (request: ApiRequest): Promise<ApiResponse> =>
  textResponse(200, `${request.method} ${request.path} ${Buffer.from(await request.readBody()).toString()}`);

describe('createHttpServer()', () => {
  it('answers HTTP/2 with a body of many pieces', async () => {
    await using running = await serve(echo);

    const stream = running.session.request({ ':method': 'POST', ':path': '/a?b=c' });
    for (const piece of ['one ', 'two ', 'three']) stream.write(piece);
    stream.end();
    expect(await read(stream)).toEqual({ status: 200, text: 'POST /a one two three' });
  });

  it('answers HTTP/1.1 on the same port', async () => {
    await using running = await serve(echo);

    const request = requestHttp1({
      host: '127.0.0.1',
      port: running.port,
      method: 'PUT',
      path: '/a',
      rejectUnauthorized: false,
      agent: false,
    });
    request.end('body');
    const [answer] = await once(request, 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString()).toBe('PUT /a body');
    expect(answer.headers['content-length']).toBe('11');
  });

  it('takes long request lines, as those of kubectl exec are', async () => {
    await using running = await serve(async ({ query }) => textResponse(200, `${query.get('q')?.length}`));

    const overHttp2 = running.session.request({ ':path': `/?q=${'x'.repeat(60_000)}` });
    expect(await read(overHttp2)).toEqual({ status: 200, text: '60000' });
    const overHttp1 = async (): Promise<number> => {
      const path = `/?q=${'x'.repeat(900_000)}`;
      const at = { host: '127.0.0.1', port: running.port, path, rejectUnauthorized: false, agent: false };
      const [answer] = await once(requestHttp1(at).end(), 'response');
      answer.resume();
      return answer.statusCode;
    };
    expect(await overHttp1()).toEqual(200);
  });

  it('keeps a connection whose request was answered before its body came, and says where it does not', async () => {
    await using running = await serve(async ({ path }) => textResponse(path === '/busy' ? 409 : 200, path));

    const ask = async (bytes: number): Promise<{ socket: TLSSocket; said: () => string }> => {
      const socket = connectTls({ host: '127.0.0.1', port: running.port, rejectUnauthorized: false });
      let said = '';
      socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
      socket.on('error', () => undefined);
      socket.write(`POST /busy HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`);
      await expect.poll(() => said).toContain('/busy');
      return { socket, said: () => said };
    };
    const short = await ask(5);
    expect(short.said()).toMatch(/connection: keep-alive/i);
    short.socket.write('helloGET /next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    await once(short.socket, 'close');
    expect(short.said()).toMatch(/HTTP\/1.1 200 OK[^]*\/next$/);
    const long = await ask(1_000_000);
    expect(long.said()).toMatch(/connection: close/i);
  });

  it('answers what is no HTTP', async () => {
    await using running = await serve(echo);

    const socket = connectTls({ host: '127.0.0.1', port: running.port, rejectUnauthorized: false });
    socket.end('GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
  });

  it('has sent an answer as a whole when its stream is destroyed', async () => {
    await using server = await serve(async (request) =>
      textResponse(200, String((await request.readBody()).length)),
    );
    const ended = Promise.withResolvers<boolean>();
    server.onStream((stream) => stream.once('close', () => ended.resolve(stream.writableFinished)));
    const stream = server.session.request({ ':method': 'POST' });
    stream.end('body');
    expect((await read(stream)).text).toBe('4');
    expect(await ended.promise).toBe(true);
  });

  it('answers HEAD with the length and without the body', async () => {
    await using running = await serve(async () => textResponse(200, 'four'));

    const stream = running.session.request({ ':method': 'HEAD', ':path': '/' });
    const heads = once(stream, 'response');
    expect((await read(stream)).text).toBe('');
    expect((await heads)[0]['content-length']).toBe('4');
  });

  it('asks for the body of a client that waits to be asked', async () => {
    await using running = await serve(echo);

    const stream = running.session.request({ ':method': 'POST', ':path': '/', expect: '100-continue' });
    await once(stream, 'continue');
    stream.end('asked');
    expect((await read(stream)).text).toBe('POST / asked');
  });

  it('refuses a body beyond the limit while it comes, and serves on', async () => {
    await using running = await serve(echo);

    const stream = running.session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => {}); // What is still on its way is not wanted.
    const piece = Buffer.alloc(65_536);
    for (let sent = 0; sent <= bodyBytesMax; sent += piece.byteLength) stream.write(piece);
    expect((await read(stream)).status).toBe(413);
    const next = running.session.request({ ':path': '/next' });
    expect((await read(next)).text).toBe('GET /next ');
  });

  it('tells a streaming handler that its client has gone', async () => {
    const left = Promise.withResolvers<void>();
    const watch = async ({ signal }: ApiRequest): Promise<ApiResponse> => ({
      status: 200,
      headers: {},
      body: async (sink) => {
        sink.write(Buffer.from('event\n'));
        await once(signal, 'abort');
        left.resolve();
      },
    });
    await using running = await serve(watch);

    const stream = running.session.request({ ':path': '/' });
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await left.promise;
  });

  it.each(['HTTP/2', 'HTTP/1.1'])(
    'has no body of a client that left before it was asked for: %s',
    async (version) => {
      const came = Promise.withResolvers<void>();
      const left = Promise.withResolvers<void>();
      const outcome = Promise.withResolvers<string>();
      await using running = await serve(async (request) => {
        // What asks who the client is, or whether it may, takes its time.
        request.signal.addEventListener('abort', () => left.resolve());
        came.resolve();
        await left.promise;
        await new Promise(setImmediate);
        await request.readBody().then(
          () => outcome.resolve('read'),
          (error: unknown) => outcome.resolve(String(error)),
        );
        return textResponse(200, '');
      });

      if (version === 'HTTP/2') {
        const stream = running.session.request({ ':method': 'POST', ':path': '/' });
        stream.on('error', () => undefined);
        stream.write('half');
        await came.promise;
        stream.close(constants.NGHTTP2_CANCEL);
      } else {
        const at = {
          host: '127.0.0.1',
          port: running.port,
          method: 'POST',
          path: '/',
          rejectUnauthorized: false,
        };
        const request = requestHttp1({ ...at, agent: false });
        request.on('error', () => undefined);
        request.write('half');
        await came.promise;
        request.destroy();
      }
      expect(await outcome.promise).toContain('the client has gone');
    },
    180_000,
  );

  it('cuts off a client that says nothing and does not answer, while its request waits', async () => {
    const serving = await createAuthority('test', Date.now());
    const server = createHttpServer({
      turns: new RequestTurns(),
      serving,
      caCertPem: serving.certPem,
      logger: silentLogger,
      handle: ({ signal }) =>
        new Promise((_, reject) => void signal.addEventListener('abort', () => reject(signal.reason))),
      upgrade: async () => {},
      limits: { connectionIdleMs: 50, answeringMs: 50 },
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const at = { host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] };
    const answering = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const waiting = answering.request({ ':path': '/' });
    waiting.on('error', () => undefined);
    const socket = connectTls(at).resume();
    await once(socket, 'secureConnect');
    // SETTINGS, and HEADERS of stream 1 whose fields are GET, https, /.
    const frames = '000000040000000000000003010500000001828784';
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(Buffer.from(frames, 'hex'));
    await once(socket, 'close');
    expect(answering.destroyed).toBe(false);
    const closed = once(server, 'close');
    answering.destroy();
    server.close();
    await closed;
  }, 180_000);

  it('tells nothing to the handler of a request that was answered', async () => {
    const signals: AbortSignal[] = [];
    await using running = await serve(async ({ signal }) => {
      signals.push(signal);
      return textResponse(200, 'ok');
    });

    const stream = running.session.request({ ':path': '/' });
    await read(stream);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
  });
});

describe('bounds of createHttpServer()', () => {
  it('bodies that are held together are bounded, and clients told to come again', async () => {
    const held = Promise.withResolvers<ApiResponse>();
    await using running = await serve(async (request) => {
      await request.readBody();
      return held.promise;
    });

    const count = Math.ceil(bodiesBytesMax / bodyBytesMax) + 2;
    const body = Buffer.alloc(bodyBytesMax);
    const post = async (): Promise<number> => {
      // A connection each: a client bounds what it holds of one, too.
      const session = connect(`https://127.0.0.1:${running.port}`, { rejectUnauthorized: false });
      session.on('error', () => undefined);
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      stream.end(body);
      const { status } = await read(stream);
      session.destroy();
      return status;
    };
    const answers = Array.from({ length: count }, post);
    expect(await Promise.race(answers)).toBe(429);
    held.resolve(textResponse(200, 'done'));
    const statuses = await Promise.all(answers);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(10);
    // Everything was given back.
    expect(await Promise.all(Array.from({ length: 5 }, post))).toEqual([200, 200, 200, 200, 200]);
  });

  it('an idle HTTP/1.1 connection is kept as long as it is announced', async () => {
    await using running = await serve(echo);

    const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    get({ host: '127.0.0.1', port: running.port, path: '/x', agent }, resolve).once('error', reject);
    const response = await promise;
    response.resume();
    expect(response.headers['keep-alive']).toBe(`timeout=${doorLimits.connectionIdleMs / 1000}`);
    expect(doorLimits.connectionIdleMs).toBeGreaterThanOrEqual(90_000);
    agent.destroy();
  });
});
