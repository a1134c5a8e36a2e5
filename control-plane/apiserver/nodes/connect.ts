import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { pipeline, type Duplex, type Readable } from 'node:stream';
import { createGunzip, createInflate } from 'node:zlib';
import { badRequest, internalError, statusError } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import {
  emptyBody,
  type ApiResponse,
  type AuthorizedRequest,
} from '#control-plane/apiserver/serve/request.ts';
import { noContent } from '#control-plane/apiserver/serve/respond.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { askedHost, forwardedHeaders } from './forwarded.ts';
import { oneWriteBytesMax } from './node-dialer.ts';
import { LinkRewriter, rewriteUrl, type ProxyPlace } from './rewrite-links.ts';
import { findTarget, type Target } from './target.ts';

/** Headers that are between two neighbours only (RFC 9110 7.6.1), or that are ours to say. */
const ownHeaders: ReadonlySet<string> = new Set(
  (
    'connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding ' +
    'upgrade http2-settings host content-length authorization'
  ).split(' '),
);
const errorTextBytesMax = 65_536;

/** log, and proxy without an upgrade: the request is passed on, the answer streamed back. */
export async function connectToNode(
  context: ServerContext,
  route: ResourceRoute,
  request: AuthorizedRequest,
): Promise<ApiResponse> {
  const action = route.subresource?.name;
  const target = await findTarget(context, route, request);
  if (target === undefined) return noContent;
  if (action !== 'log' && action !== 'proxy') throw badRequest('Upgrade request required');
  if (action === 'log') {
    const log = await openLog(context, target, request.signal);
    return { status: 200, headers: { 'content-type': 'text/plain' }, body: (sink) => pipe(log, sink) };
  }
  const { method, path } = request;
  // So that relative links of the page lead below it.
  if (route.rest === '' && (method === 'GET' || method === 'HEAD')) return moved(request);
  const place = proxyPlace(target, route, request);
  const body = await bodyOf(request);
  const answer = await context.nodes.request(target.endpoint, {
    method,
    path: target.path,
    headers: {
      ...passedHeaders(request, context.authentication.isIdentityHeader),
      ...lengthHeaders(request, body),
      'x-forwarded-uri': path,
    },
    body,
    signal: AbortSignal.any([request.signal, context.closing]),
  });
  return passedAnswer(answer, place);
}

function moved({ path, rawQuery = '' }: AuthorizedRequest): ApiResponse {
  const location = `${path}/${rawQuery === '' ? '' : `?${rawQuery}`}`;
  return { status: 301, headers: { location }, body: emptyBody };
}

/** A small body is read first: it can be sent again by a fresh connection. What is larger, or of unsaid length, goes on as it comes. */
export async function bodyOf(request: AuthorizedRequest): Promise<Uint8Array | Readable> {
  const isRead = request.method !== 'GET' && request.method !== 'HEAD';
  const isSmall = Number(request.headers['content-length'] ?? Infinity) <= oneWriteBytesMax;
  return isRead && isSmall ? request.readBody() : (request.openBody?.() ?? emptyBody);
}

/** Where what is got leads: below the path that was asked, without what of it went on. */
function proxyPlace(
  { endpoint }: Target,
  { rest }: ResourceRoute,
  { path, headers }: AuthorizedRequest,
): ProxyPlace {
  const prefix = path.slice(0, path.length - rest.length).replace(/\/$/, '');
  const host = askedHost(headers);
  return {
    prefix,
    hosts: [`${endpoint.host}:${endpoint.port}`, endpoint.host, ...(host === '' ? [] : [host])],
  };
}

/** An answer with its links, and where it leads to, as they are through the proxy. */
function passedAnswer(answer: IncomingMessage, place: ProxyPlace): ApiResponse {
  const status = answer.statusCode ?? 502;
  const { location } = answer.headers;
  const headers: ApiResponse['headers'] = {
    ...answerHeaders(answer),
    ...(location === undefined ? {} : { location: rewriteUrl(location, place) }),
  };
  const isPage = /^text\/html\b/i.test(answer.headers['content-type'] ?? '');
  const encoding = answer.headers['content-encoding']?.toLowerCase() ?? '';
  const decoder = decoders[encoding];
  // What cannot be read stays as it is.
  if (!isPage || (encoding !== '' && decoder === undefined)) {
    return { status, headers, body: (sink) => pipe(answer, sink) };
  }
  const { 'content-length': _length, 'content-encoding': _encoding, ...kept } = headers;
  return { status, headers: kept, body: (sink) => pipe(rewritten(answer, decoder?.(), place), sink) };
}

const decoders: Readonly<Record<string, () => Duplex>> = {
  gzip: () => createGunzip(),
  deflate: () => createInflate(),
};

async function* rewritten(
  answer: IncomingMessage,
  decoder: Duplex | undefined,
  place: ProxyPlace,
): AsyncGenerator<Uint8Array, void> {
  const rewriter = new LinkRewriter(place);
  try {
    const pieces: AsyncIterable<Buffer> =
      decoder === undefined ? answer : pipeline(answer, decoder, () => undefined);
    for await (const piece of pieces) yield Buffer.from(rewriter.push(piece.toString('latin1')), 'latin1');
    yield Buffer.from(rewriter.end(), 'latin1');
  } finally {
    answer.destroy();
    decoder?.destroy();
  }
}

/**
 * The log as its node sends it; owned by the caller.
 * @throws {E_API} what the node complains of
 */
export async function openLog(
  context: ServerContext,
  target: Target,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const answer = await context.nodes.request(target.endpoint, {
    method: 'GET',
    path: target.path,
    headers: {},
    signal: AbortSignal.any([signal, context.closing]),
  });
  const status = answer.statusCode ?? 502;
  if (status < 200 || status > 206) throw await logError(status, answer);
  return answer;
}

export async function pipe(
  answer: AsyncIterable<Uint8Array> & Partial<Pick<IncomingMessage, 'destroy'>>,
  sink: { write(bytes: Uint8Array): boolean; drained(): Promise<void> },
): Promise<void> {
  try {
    for await (const chunk of answer) if (!sink.write(chunk)) await sink.drained();
  } finally {
    answer.destroy?.();
  }
}

/** What the kubelet complains of, as the API says it (genericrest GenericHttpResponseChecker). */
async function logError(status: number, answer: IncomingMessage): Promise<Error> {
  let text = '';
  try {
    for await (const chunk of answer) {
      text += String(chunk);
      if (text.length > errorTextBytesMax) break;
    }
  } catch (error) {
    if (isPodwrightError(error)) throw error;
    text = `${text} (cut off: ${String(error)})`;
  }
  if (status === 400) return badRequest(text);
  if (status === 404) return statusError(404, 'NotFound', text);
  return status === 500 ? internalError(text) : statusError(status, 'Unknown', text);
}

export function passedHeaders(
  request: AuthorizedRequest,
  isIdentityHeader: (name: string) => boolean,
): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = forwardedHeaders(request);
  for (const [name, value] of Object.entries(request.headers)) {
    if (
      value === undefined ||
      ownHeaders.has(name) ||
      name.startsWith(':') ||
      isIdentityHeader(name) ||
      name === 'x-forwarded-for'
    )
      continue;
    headers[name] = value;
  }
  return headers;
}

export function lengthHeaders(
  { headers }: AuthorizedRequest,
  body: Uint8Array | Readable,
): Readonly<Record<string, string>> {
  if (body instanceof Uint8Array)
    return body.byteLength === 0 ? {} : { 'content-length': `${body.byteLength}` };
  const length = headers['content-length'];
  return length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': length };
}

export function answerHeaders(answer: IncomingMessage): ApiResponse['headers'] {
  return Object.fromEntries(
    Object.entries(answer.headers).flatMap(([name, value]) =>
      value === undefined || (ownHeaders.has(name) && name !== 'content-length') ? [] : [[name, value]],
    ),
  );
}
