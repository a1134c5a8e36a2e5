import { randomUUID, type X509Certificate } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { requestTooLarge, tooManyRequests } from '#api/errors/status.ts';
import type { ByteRoom } from '#base/byte-room.ts';
import { shareOf } from './connection-share.ts';
import type { ReadSource } from './read-turns.ts';
import type { Beginner, RequestTurns } from './request-turns.ts';
import type { IncomingBody, SlowBodies } from './slow-bodies.ts';
import type { AnswerStream, UnreadAnswers } from './unread-answers.ts';
import {
  bodyBytesMax,
  emptyBody,
  type ApiRequest,
  type ApiResponse,
  type ByteSink,
  type Caller,
} from './request.ts';

/*
 * What HTTP/1.1 and HTTP/2 have in common: the request as the handlers see it, the headers of an answer, and where its body goes.
 */

export interface Exchange {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: ApiRequest['headers'];
  readonly rawHeaders: readonly string[];
  readonly caller: Caller;
  readonly body: IncomingBody;
  readonly client: WaitingClient;
  readonly bodies: IncomingBodies;
}

/** The bodies of all requests. */
export interface IncomingBodies {
  /** What they may take. */
  readonly room: ByteRoom;
  readonly slow: SlowBodies;
}

/** Bytes of the bodies of all requests that are worked on; what comes then is to try again. */
export const bodiesBytesMax = 33_554_432;

/** A client that stops in the middle of its body for this long is cut off. */
export const bodyIdleMs = 30_000;
/** How long a body may take in all: who sends a byte now and then is never idle, and is cut off by the next. */
const bodyTotalMs = 300_000;
/** A body that is passed on may pause for this long, also because its receiver does. */
const passedIdleMs = 300_000;
/** Made once: an exception with its stack for each request that ends would cost more than many a request. */
const gone = new DOMException('the client has gone', 'AbortError');

/** Somebody who waits for an answer; disposed when it has been given. */
export class WaitingClient {
  /** Called when it is disposed of. */
  onEnd: (() => void) | undefined;
  readonly #connection: Writable;
  #controller: AbortController | undefined;
  #leave: (() => void) | undefined;

  constructor(connection: Writable) {
    this.#connection = connection;
  }

  /** Aborts when the client leaves before that. Made when it is first asked for: most requests never do, and it costs. */
  get signal(): AbortSignal {
    const controller = (this.#controller ??= new AbortController());
    if (this.#leave === undefined) {
      this.#leave = (): void => controller.abort(gone);
      if (this.#connection.destroyed) this.#leave();
      else this.#connection.once('close', this.#leave);
    }
    return controller.signal;
  }

  [Symbol.dispose](): void {
    if (this.#leave !== undefined) this.#connection.off('close', this.#leave);
    this.onEnd?.();
  }
}

/** The request as the handlers see it. */
export function readExchange(exchange: Exchange): ApiRequest {
  return new ExchangeRequest(exchange);
}

class ExchangeRequest implements ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly rawQuery: string;
  readonly headers: ApiRequest['headers'];
  readonly rawHeaders: readonly string[];
  readonly caller: Caller;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    const { method, target, headers, rawHeaders, caller } = exchange;
    const mark = target.indexOf('?');
    this.method = method;
    this.path = mark < 0 ? target : target.slice(0, mark);
    this.rawQuery = mark < 0 ? '' : target.slice(mark + 1);
    this.query = new URLSearchParams(this.rawQuery);
    this.headers = headers;
    this.rawHeaders = rawHeaders;
    this.caller = caller;
    this.#exchange = exchange;
  }

  get signal(): AbortSignal {
    return this.#exchange.client.signal;
  }

  readBody(): Promise<Uint8Array> {
    const hasBody = this.method !== 'GET' && this.method !== 'HEAD';
    return hasBody ? readBody(this.#exchange) : Promise.resolve(emptyBody);
  }

  openBody(): Readable | undefined {
    const { body } = this.#exchange;
    if (!isBodyToCome(this.headers, body)) return undefined;
    // A client that stops in the middle is cut off, as is one whose bytes nobody takes.
    body.setTimeout(passedIdleMs, () => body.destroy());
    return body.once('end', () => body.setTimeout(0));
  }
}

/** Of HTTP/2 the stream knows, of HTTP/1.1 the headers say. */
function isBodyToCome(headers: ApiRequest['headers'], body: IncomingBody): boolean {
  if ('endAfterHeaders' in body) return !body.endAfterHeaders;
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = headers;
  return encoding !== undefined || Number(length) > 0;
}

function readBody({ body, client, bodies: { room, slow } }: Exchange): Promise<Uint8Array> {
  // Whoever left before has said so, and will not again.
  if (body.destroyed) return Promise.reject(gone);
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Buffer[] = [];
  let size = 0;
  const lastMs = performance.now() + bodyTotalMs;
  const take = (chunk: Buffer): void => {
    if (performance.now() > lastMs) {
      body.destroy();
      return;
    }
    if (!room.take(chunk.length)) {
      refuse(tooManyRequests('Too many bytes in the bodies of requests, please try again later.', 1));
      return;
    }
    chunks.push(chunk);
    size += chunk.length;
    if (size > bodyBytesMax) refuse(requestTooLarge(bodyBytesMax));
  };
  const refuse = (reason: Error): void => {
    body.pause();
    forget();
    reject(reason);
  };
  const leave = (): void => refuse(gone);
  const end = (): void => {
    forget();
    const [only] = chunks;
    resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks));
  };
  // What listens keeps the bytes, and a stream stays in memory long after its end (docs/kernel-notes.md#http2-garbage).
  const forget = (): void => {
    slow.remove(reading);
    body.off('data', take).off('error', refuse).off('close', leave).off('end', end);
  };
  client.onEnd = () => room.give(size);
  const reading = slow.add(body);
  body.on('data', take).once('error', refuse).once('close', leave).once('end', end);
  return promise;
}

/** One value for each name. Both protocols have joined what came several times already, but for one kind of cookies. */
export function joinHeaders(headers: IncomingHttpHeaders): ApiRequest['headers'] {
  if (isSingle(headers)) return headers;
  return { ...headers, 'set-cookie': headers['set-cookie']?.join(', ') };
}

function isSingle(headers: IncomingHttpHeaders): headers is IncomingHttpHeaders & ApiRequest['headers'] {
  return headers['set-cookie'] === undefined;
}

/** What the requests of one server share. */
export interface ServerRooms {
  readonly bodies: IncomingBodies;
  readonly unread: UnreadAnswers;
  readonly turns: RequestTurns;
}

/** Whether it is a question whether the server lives, which waits for no other request. */
export function isUrgent(target: string): boolean {
  return /^\/(?:livez|readyz|healthz)(?:[/?]|$)/.test(target);
}

/** The headers of an answer, those among them that every answer has. */
export function headersOf(answer: ApiResponse): Record<string, string | string[]> {
  const all: Record<string, string | string[]> = {};
  const add = (name: string, value: string | readonly string[]): void => {
    all[name] = typeof value === 'string' ? value : [...value];
  };
  forEachHeader(answer, add);
  return all;
}

/** The same as a list, with each name before its value: HTTP/2 takes it without making an object of it and another of that. */
export function headerListOf(answer: ApiResponse): string[] {
  const list = [':status', String(answer.status)];
  forEachHeader(answer, (name, value) => {
    if (typeof value === 'string') list.push(name, value);
    else for (const one of value) list.push(name, one);
  });
  return list;
}

function forEachHeader(
  { status, headers, body }: ApiResponse,
  add: (name: string, value: string | readonly string[]) => void,
): void {
  if (headers['audit-id'] === undefined) add('audit-id', randomUUID());
  if (headers['cache-control'] === undefined) add('cache-control', 'no-cache, private');
  const isWhole = body instanceof Uint8Array && status !== 204 && status !== 304;
  for (const name of Object.keys(headers))
    if (!isWhole || name !== 'content-length') add(name, headers[name] ?? '');
  if (isWhole) add('content-length', String(body.byteLength));
}

/** Where a streamed body goes. `tellWaiting`: how many of its bytes wait. */
export function sinkOf(stream: AnswerStream, tellWaiting: (bytes: number) => void): ByteSink {
  return {
    write: (bytes, sent) => {
      if (!stream.writable || writeTo(stream, bytes, sent)) return true;
      tellWaiting(stream.writableLength);
      return false;
    },
    drained: async () => {
      if (!stream.writableNeedDrain || stream.destroyed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.on('drain', resolve).on('close', resolve);
      await promise;
      stream.off('drain', resolve).off('close', resolve);
      tellWaiting(stream.writableLength);
    },
    get pendingBytes() {
      return stream.writableLength;
    },
  };
}

function writeTo(stream: AnswerStream, bytes: Uint8Array, sent: (() => void) | undefined): boolean {
  if (sent === undefined) return stream.write(bytes);
  // Of a stream that is cut off, parts may be on their way yet.
  return stream.write(bytes, (error) => {
    if (error === undefined || error === null) sent();
  });
}

const callers = new WeakMap<object, Caller>();

/** Who is at the other end; found out once for a connection. */
export function callerOf(connection: object, socket: unknown): Caller {
  const known = callers.get(connection);
  if (known !== undefined) return known;
  const address = (socket as Partial<TLSSocket> | undefined)?.remoteAddress;
  const caller = { ...certificateCaller(socket), ...(address === undefined ? {} : { address }) };
  callers.set(connection, caller);
  return caller;
}

/** Of a request that comes on this connection. Who it is of is not looked for, which costs. */
export function beginnerOf(connection: object, target: string): Beginner {
  return { connection, sourceOf, share: shareOf(callers.get(connection)), isUrgent: isUrgent(target) };
}

/**
 * Stops and starts reading beneath HTTP: neither a session of HTTP/2 nor a server of HTTP/1.1 lets its socket be paused. The handle
 * (lib/net.js: `socket._handle`, a TLSWrap of src/crypto/crypto_tls.cc) has no public name; without it a connection is read on.
 */
function sourceOf(connection: object): ReadSource {
  const { socket = connection } = connection as { readonly socket?: object };
  // The socket of a session that is destroyed must not be touched (ERR_HTTP2_SOCKET_UNBOUND).
  const handle = (): ReadHandle | null | undefined =>
    (connection as { readonly destroyed?: boolean }).destroyed === true
      ? undefined
      : (socket as { readonly _handle?: ReadHandle })._handle;
  return {
    stopReading: () => void handle()?.readStop?.(),
    startReading: () => void handle()?.readStart?.(),
    onceEnded: (listener) => void (connection as Partial<EventEmitter>).once?.('close', listener),
  };
}

/** Of a StreamBase (src/stream_base.cc). */
interface ReadHandle {
  readStop?(): number;
  readStart?(): number;
}

/** A user's uid in the subject of a certificate (apiserver authentication/request/x509). */
const uidOid = '1.3.6.1.4.1.57683.2';
/** Certificates that are looked at of those that a client sends. */
const chainMax = 6;

function certificateCaller(socket: unknown): Caller {
  if (!isTls(socket)) return { kind: 'network' };
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { kind: 'network' }; // None was shown.
  const { subject } = socket.getPeerCertificate();
  const list = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)];
  const named: Readonly<Record<string, unknown>> = subject === undefined ? {} : { ...subject };
  return {
    kind: 'network',
    certificate: {
      ...(socket.authorized ? {} : { problem: String(socket.authorizationError) }),
      chain: chainOf(certificate),
      commonName: list(named['CN']).at(-1) ?? '',
      organizations: list(named['O']),
      uids: list(named[uidOid]),
      fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    },
  };
}

function chainOf(certificate: X509Certificate): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (
    let each: X509Certificate | undefined = certificate;
    each !== undefined && chain.length < chainMax;
    each = each.issuerCertificate
  ) {
    chain.push(each);
    if (each.issuerCertificate?.fingerprint256 === each.fingerprint256) break;
  }
  return chain;
}

function isTls(socket: unknown): socket is TLSSocket {
  // Asked for by value: the socket of an HTTP/2 session is a proxy without an answer to `in`.
  return typeof (socket as Partial<TLSSocket> | undefined)?.getPeerCertificate === 'function';
}
