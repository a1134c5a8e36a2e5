import { createGzip } from 'node:zlib';
import { encodeYaml } from '#api/wire/body.ts';
import { parseBool } from '#api/wire/parse-bool.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { structJson } from '#api/wire/json.ts';
import { statusOf } from '#api/errors/status.ts';
import type { Representation } from './negotiate.ts';
import { emptyBody, type ApiRequest, type ApiResponse, type ByteSink } from './request.ts';
import { TimeSlice } from '#base/time-slice.ts';
import { warningHeaders } from '#control-plane/apiserver/verbs/write-options.ts';

type Headers = ApiResponse['headers'];

const jsonType: Headers = { 'content-type': 'application/json' };
/** Bodies below this are sent as they are (kube-apiserver's own bound). */
const gzipBytesMin = 131_072;
/** Lists below this are sent in one piece. */
export const streamedBytesMin = 262_144;

/** How the answer to a request is to be written, apart from its transform. */
export interface Style {
  readonly format: 'json' | 'yaml';
  readonly pretty: boolean;
}

/** Clients of people get lines and indents unless they say otherwise (isPrettyPrint of apiserver's negotiation). */
export function styleOf(request: ApiRequest, representation: Representation): Style {
  const asked = request.query.get('pretty') ?? '';
  const isPerson = /^(curl|Wget|Mozilla\/5\.0)/.test(request.headers['user-agent'] ?? '');
  return {
    format: representation.format,
    pretty: asked === '' ? isPerson : parseBool(asked) === true,
  };
}

/** An object that is made for this answer. */
export function objectResponse(
  status: number,
  object: JsonObject,
  style: Style,
  headers: Headers = {},
): ApiResponse {
  if (style.format === 'yaml') {
    return {
      status,
      headers: { ...headers, 'content-type': 'application/yaml' },
      body: Buffer.from(encodeYaml(object)),
    };
  }
  const text = style.pretty ? `${structJson(object, 2)}\n` : structJson(object);
  return { status, headers: { ...jsonType, ...headers }, body: Buffer.from(text) };
}

/** JSON that is at hand as bytes. */
export function bytesResponse(
  status: number,
  bytes: Uint8Array,
  style: Style,
  headers: Headers = {},
): ApiResponse {
  if (style.format === 'json' && !style.pretty)
    return { status, headers: { ...jsonType, ...headers }, body: bytes };
  const object: JsonObject = JSON.parse(Buffer.from(bytes).toString());
  return objectResponse(status, object, style, headers);
}

/** JSON in pieces, sent one after another with room for others between. */
export function piecesResponse(pieces: readonly Uint8Array[], style: Style): ApiResponse {
  const [only] = pieces;
  const size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  if (pieces.length === 1 && only !== undefined) return bytesResponse(200, only, style);
  if (style.format !== 'json' || style.pretty) return bytesResponse(200, Buffer.concat(pieces), style);
  return {
    status: 200,
    headers: { ...jsonType, 'content-length': String(size) },
    body: async (sink) => {
      for (const piece of pieces) if (!sink.write(piece)) await sink.drained();
    },
  };
}

export interface BoundedPieces {
  readonly pieces: Iterable<Uint8Array>;
  /** How many bytes they come to, at most. */
  readonly bytesMax: number;
  /** Takes back the memory of a piece that has been sent. */
  readonly free: (piece: Uint8Array) => void;
}

/** JSON made piece by piece as fast as the client takes it: a long list is never in memory as a whole, and its length not known ahead. */
export function streamedResponse({ pieces, bytesMax, free }: BoundedPieces, style: Style): ApiResponse {
  const isShort = bytesMax < streamedBytesMin;
  if (isShort || style.format !== 'json' || style.pretty) return piecesResponse([...pieces], style);
  return {
    status: 200,
    headers: jsonType,
    body: async (sink) => {
      const slice = new TimeSlice();
      for (const piece of pieces) {
        if (!sink.write(piece, () => free(piece))) await sink.drained();
        if (slice.isOver()) await slice.next();
      }
    },
  };
}

export function textResponse(
  status: number,
  text: string,
  contentType = 'text/plain; charset=utf-8',
): ApiResponse {
  const headers = { 'content-type': contentType, 'x-content-type-options': 'nosniff' };
  return { status, headers, body: Buffer.from(text) };
}

/** Whatever was thrown, as a Status. */
export function errorResponse(error: unknown): ApiResponse {
  const { status, httpCode } = statusOf(error);
  const retryAfter = status.details?.retryAfterSeconds;
  const headers: Headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  const body = Buffer.from(structJson(status));
  return {
    status: httpCode,
    headers: { ...jsonType, 'x-content-type-options': 'nosniff', ...headers },
    body,
  };
}

export const noContent: ApiResponse = { status: 204, headers: {}, body: emptyBody };

/** Compresses a large JSON answer for a client that asked for it; watches and logs go as they are. */
export function compress(request: ApiRequest, response: ApiResponse): ApiResponse {
  const accepts = request.headers['accept-encoding']?.includes('gzip') === true;
  const isKnown = response.headers['content-type'] === 'application/json';
  if (!accepts || !isKnown || response.headers['content-encoding'] !== undefined) return response;
  const size =
    response.body instanceof Uint8Array
      ? response.body.byteLength
      : Number(response.headers['content-length'] ?? 0);
  if (size < gzipBytesMin) return response;
  const { 'content-length': _length, ...headers } = response.headers;
  return {
    status: response.status,
    headers: { ...headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' },
    body: (sink) => pipeGzip(response.body, sink),
  };
}

async function pipeGzip(body: ApiResponse['body'], sink: ByteSink): Promise<void> {
  const gzip = createGzip({ level: 1 });
  const reading = (async () => {
    for await (const chunk of gzip) if (!sink.write(chunk)) await sink.drained();
  })();
  const into: ByteSink = {
    write: (bytes) => gzip.write(bytes),
    drained: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gzip.once('drain', resolve);
      await Promise.race([promise, reading]);
    },
    pendingBytes: 0,
  };
  if (body instanceof Uint8Array) into.write(body);
  else await body(into);
  gzip.end();
  await reading;
}

/** The answer with these warnings after its own. */
export function withWarnings(response: ApiResponse, warnings: readonly string[]): ApiResponse {
  if (warnings.length === 0) return response;
  const { warning: own = [], ...others } = response.headers;
  const { warning: added = [] } = warningHeaders(warnings);
  return { ...response, headers: { ...others, warning: [own, added].flat() } };
}
