import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Logger } from '#base/log.ts';
import {
  beginnerOf,
  callerOf,
  headerListOf,
  joinHeaders,
  readExchange,
  sinkOf,
  WaitingClient,
  type ServerRooms,
} from './http-exchange.ts';
import type { UnreadAnswers } from './unread-answers.ts';
import { emptyBody, type ApiRequest, type ApiResponse } from './request.ts';

export interface StreamOptions {
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
  readonly logger: Logger;
  readonly rooms: ServerRooms;
}

type HeadersOfStream = {
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
};

/** One request of an HTTP/2 connection: begins when it is its turn, if its client still wants it then. */
export function serveStream(options: StreamOptions, stream: ServerHttp2Stream, given: HeadersOfStream): void {
  const path = given.headers[':path'] ?? '/';
  const cutOff = (error: unknown): void => {
    options.logger.debug({ error: String(error), path }, 'response cut off');
    stream.destroy();
  };
  stream.on('error', cutOff);
  const start = (): void => {
    if (!stream.closed) void answerStream(options, stream, given).catch(cutOff);
  };
  options.rooms.turns.begin(beginnerOf(stream.session ?? stream, path), start);
}

async function answerStream(
  { handle, rooms }: StreamOptions,
  stream: ServerHttp2Stream,
  { headers, rawHeaders }: HeadersOfStream,
): Promise<void> {
  using client = new WaitingClient(stream);

  if (headers.expect === '100-continue') stream.additionalHeaders({ ':status': 100 });
  const request = readExchange({
    method: headers[':method'] ?? 'GET',
    target: headers[':path'] ?? '/',
    headers: joinHeaders(headers),
    rawHeaders,
    caller: callerOf(stream.session ?? stream, stream.session?.socket),
    body: stream,
    client,
    bodies: rooms.bodies,
  });
  await send(stream, await handle(request), { isHead: request.method === 'HEAD', unread: rooms.unread });
}

async function send(
  stream: ServerHttp2Stream,
  answer: ApiResponse,
  { isHead, unread }: { readonly isHead: boolean; readonly unread: UnreadAnswers },
): Promise<void> {
  if (stream.destroyed) return;
  const { body } = answer;
  const isWhole = body instanceof Uint8Array;
  const endStream = (isWhole && body.byteLength === 0) || isHead;
  stream.respond(headerListOf(answer), { endStream });
  if (!endStream) {
    const unreadAnswer = unread.add(stream, isWhole ? body.byteLength : 0);
    // Not by a callback of its end: most streams close before they say that they finished, and that makes an error with its stack.
    stream.once('close', () => unread.remove(unreadAnswer));
    if (!isWhole) await body(sinkOf(stream, (bytes) => unread.waiting(unreadAnswer, bytes)));
    endWhenSent(stream);
    stream.end(isWhole ? body : emptyBody);
  }
  // Whoever was answered in the middle of sending need not go on.
  if (!stream.endAfterHeaders && !stream.readableEnded) {
    stream.once('finish', () => stream.resume().close(constants.NGHTTP2_NO_ERROR));
  }
}

/**
 * Node destroys a stream whose request was read to its end as its last frame is made, which is before that is sent, and settles the
 * write in flight by making an error with its stack, for nobody (lib/internal/streams/writable.js, `errorBuffer`): the client would wait
 * for that. A turn later the write is done.
 */
function endWhenSent(stream: ServerHttp2Stream): void {
  const { destroy } = stream;
  stream.destroy = (error) => {
    if (error !== undefined || !stream.closed) return destroy.call(stream, error);
    setImmediate(() => destroy.call(stream));
    return stream;
  };
}
