import { randomUUID } from 'node:crypto';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex, Writable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { requestTooLarge } from '#api/status.ts';
import type { Logger } from '#base/log.ts';
import type { KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import {
  bodyBytesMax,
  emptyBody,
  type ApiRequest,
  type ApiResponse,
  type ByteSink,
  type Caller,
} from './request.ts';

export interface HttpServerOptions {
  readonly serving: KeyPair;
  readonly caCertPem: string;
  readonly logger: Logger;
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
  /** A connection that asks to become something else (exec, attach, port-forward over HTTP/1.1). Owns the socket. */
  readonly upgrade: (request: ApiRequest, upgrade: Upgrade) => Promise<void>;
}

/** What is left of an HTTP/1.1 connection whose request asked for an upgrade: raw bytes both ways. */
export interface Upgrade {
  readonly socket: Duplex;
  /** Bytes of the new protocol that came with the request. */
  readonly head: Uint8Array;
  /** The request's header lines as they came. */
  readonly rawHeaders: readonly string[];
}

type AnyRequest = IncomingMessage | Http2ServerRequest;
type AnyResponse = ServerResponse | Http2ServerResponse;

/** Bounds of one HTTP/2 connection; a client that needs more opens another. */
const streamsMax = 1000;
const headerPairsMax = 200;
const windowBytes = 1_048_576;
/** Node's own 10 MB refuse further streams while one large list is on its way. */
const sessionMegabytesMax = 256;
/** A client that stops in the middle of its body for this long is cut off. */
const bodyIdleMs = 30_000;

/** HTTP/2 and HTTP/1.1 on one TLS port, each request through `handle`. Not yet listening. */
export function createHttpServer(options: HttpServerOptions): Http2SecureServer {
  const server = createSecureServer({
    allowHTTP1: true,
    key: options.serving.keyPem,
    cert: options.serving.certPem,
    ca: options.caCertPem,
    requestCert: true,
    rejectUnauthorized: false, // Authentication decides: a token may stand in for a certificate.
    minVersion: 'TLSv1.2',
    settings: { maxConcurrentStreams: streamsMax, initialWindowSize: windowBytes },
    maxSessionMemory: sessionMegabytesMax,
    maxHeaderListPairs: headerPairsMax,
  });
  server.on('request', (request, response) => void serve(options, request, response));
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const signal = abortOn((abort) => socket.once('close', abort));
    const upgrade = { socket, head, rawHeaders: request.rawHeaders };
    void options.upgrade(readRequest(request, signal), upgrade);
  });
  server.on('sessionError', (error) =>
    options.logger.debug({ error: String(error) }, 'HTTP/2 session ended'),
  );
  server.on('tlsClientError', (error) =>
    options.logger.debug({ error: String(error) }, 'TLS handshake ended'),
  );
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

async function serve(options: HttpServerOptions, request: AnyRequest, response: AnyResponse): Promise<void> {
  const signal = abortOn((abort) => response.once('close', abort));
  try {
    const answer = await options.handle(readRequest(request, signal));
    await send(request, response, answer);
  } catch (error) {
    options.logger.debug({ error: String(error), path: request.url }, 'response cut off');
    request.socket?.destroy();
  }
}

function abortOn(subscribe: (abort: () => void) => void): AbortSignal {
  const controller = new AbortController();
  subscribe(() => controller.abort(gone));
  return controller.signal;
}

/** Made once: an exception with its stack for each request that ends would cost more than many a request. */
const gone = new DOMException('the client has gone', 'AbortError');

function readRequest(request: AnyRequest, signal: AbortSignal): ApiRequest {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  return {
    method: request.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    headers: joinHeaders(request.headers),
    caller: callerOf(request),
    readBody: () => readBody(request),
    signal,
  };
}

function joinHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): ApiRequest['headers'] {
  const joined: Record<string, string | undefined> = {};
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    joined[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return joined;
}

const callers = new WeakMap<object, Caller>();

/** Who is at the other end; found out once for a connection. */
function callerOf(request: AnyRequest): Caller {
  const connection = 'stream' in request ? (request.stream.session ?? request) : request.socket;
  const known = callers.get(connection);
  if (known !== undefined) return known;
  const socket: unknown = 'stream' in request ? request.stream.session?.socket : request.socket;
  const caller = certificateCaller(socket);
  callers.set(connection, caller);
  return caller;
}

function certificateCaller(socket: unknown): Caller {
  if (!isTls(socket) || !socket.authorized) return { kind: 'network' };
  const certificate = socket.getPeerCertificate();
  const { subject } = certificate;
  if (subject === undefined) return { kind: 'network' };
  const list = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
  return {
    kind: 'network',
    certificate: {
      commonName: list(subject.CN)[0] ?? '',
      organizations: list(subject.O),
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    },
  };
}

function isTls(socket: unknown): socket is TLSSocket {
  // Asked for by value: the socket of an HTTP/2 session is a proxy without an answer to `in`.
  return typeof (socket as Partial<TLSSocket> | undefined)?.getPeerCertificate === 'function';
}

async function readBody(request: AnyRequest): Promise<Uint8Array> {
  if (request.method === 'GET' || request.method === 'HEAD') return emptyBody;
  const chunks: Buffer[] = [];
  let size = 0;
  request.setTimeout(bodyIdleMs, () => request.destroy());
  for await (const chunk of request) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > bodyBytesMax) throw requestTooLarge(bodyBytesMax);
  }
  request.setTimeout(0);
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

async function send(request: AnyRequest, response: AnyResponse, answer: ApiResponse): Promise<void> {
  const { body } = answer;
  const isHead = request.method === 'HEAD';
  response.statusCode = answer.status;
  response.setHeader('audit-id', randomUUID());
  for (const [name, value] of Object.entries(answer.headers))
    response.setHeader(name, typeof value === 'string' ? value : [...value]);
  if (answer.headers['cache-control'] === undefined) response.setHeader('cache-control', 'no-cache, private');
  if (body instanceof Uint8Array) {
    if (answer.status !== 204 && answer.status !== 304) response.setHeader('content-length', body.byteLength);
    endWith(response, isHead ? emptyBody : body);
    return;
  }
  if (isHead) {
    endWith(response, emptyBody);
    return;
  }
  // A watch says that it is there before anything happens.
  if ('stream' in response) response.writeHead(answer.status);
  else response.writeHead(answer.status).flushHeaders();
  await body(sinkOf(response));
  response.end();
}

function endWith(response: AnyResponse, body: Uint8Array): void {
  if (body.byteLength === 0) response.end();
  else response.end(body);
}

function sinkOf(response: AnyResponse): ByteSink {
  // The compat response of HTTP/2 writes through; its stream knows what is pending.
  const stream: Writable = 'stream' in response ? response.stream : response;
  return {
    write: (bytes) => (stream.writable ? stream.write(bytes) : true),
    drained: async () => {
      if (!stream.writableNeedDrain || stream.destroyed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.on('drain', resolve).on('close', resolve);
      await promise;
      stream.off('drain', resolve).off('close', resolve);
    },
    get pendingBytes() {
      return stream.writableLength;
    },
  };
}
