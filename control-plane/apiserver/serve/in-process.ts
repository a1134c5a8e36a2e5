import { Readable } from 'node:stream';
import { PodwrightError } from '#base/errors.ts';
import { LinkedList } from '#base/memory/linked-list.ts';
import { nextTurn, TurnTime } from '#base/time-slice.ts';
import type { Transport, TransportRequest, TransportResponse } from '#client/transport.ts';
import { shareOf } from './connection-share.ts';
import { isUrgent } from './http-exchange.ts';
import type { RequestTurns } from './request-turns.ts';
import {
  emptyBody,
  type ApiRequest,
  type ApiResponse,
  type ByteSink,
  type Caller,
  type User,
} from './request.ts';

/** Bytes that a streamed body may hold ready before its producer is told to wait. */
const readyBytesMax = 1_048_576;
/** Of all streams together: who reads them is in this process, too. */
const readingTime = new TurnTime();

/** A transport to the API server of this process: no socket, and the same handlers and turns. */
export function createInProcessTransport(
  handle: (request: ApiRequest) => Promise<ApiResponse>,
  { user, turns }: { readonly user: User; readonly turns: RequestTurns },
): Transport {
  let isClosed = false;
  /** Requests that have no whole answer yet. Ended by hand: a signal of signals for each request costs more than the rest of this. */
  const open = new LinkedList<AbortController>();
  const caller: Caller = { kind: 'in-process', user };
  return {
    request: async (request) => {
      if (isClosed)
        throw new PodwrightError('E_CLOSED', `${request.method} ${request.path}: transport is closed`);
      const ended = new AbortController();
      const { signal } = ended;
      const place = open.add(ended);
      const done = (): void => {
        open.remove(place);
        request.signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        done();
        ended.abort(request.signal?.reason);
      };
      if (request.signal?.aborted === true) onAbort();
      else request.signal?.addEventListener('abort', onAbort, { once: true });
      const { promise: begun, resolve: begin } = Promise.withResolvers<Promise<ApiResponse>>();
      const start = (): void => begin(handle(apiRequest(request, caller, signal)));
      turns.begin({ connection: caller, share: shareOf(caller), isUrgent: isUrgent(request.path) }, start);
      let isStreamed = false;
      try {
        const response = await begun;
        const { body } = response;
        if (body instanceof Uint8Array) return { ...head(response), body };
        isStreamed = true;
        const stop = (): void => {
          done();
          ended.abort(new DOMException('stopped', 'AbortError'));
        };
        return { ...head(response), body: readStream(body, signal, stop) };
      } finally {
        if (!isStreamed) done();
      }
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      for (const ended of [...open]) ended.abort(new DOMException('transport closed', 'AbortError'));
    },
  };
}

function head(response: ApiResponse): Pick<TransportResponse, 'status' | 'headers'> {
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : value.join(', '),
    ]),
  );
  return { status: response.status, headers };
}

function joinedHeaders(headers: TransportRequest['headers']): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function apiRequest(request: TransportRequest, caller: Caller, signal: AbortSignal): ApiRequest {
  const mark = request.path.indexOf('?');
  const rawQuery = mark < 0 ? '' : request.path.slice(mark + 1);
  const body = request.body ?? emptyBody;
  return {
    method: request.method,
    path: mark < 0 ? request.path : request.path.slice(0, mark),
    query: new URLSearchParams(rawQuery),
    rawQuery,
    headers: joinedHeaders(request.headers),
    caller,
    readBody: async () => body,
    openBody: () => (body.byteLength === 0 ? undefined : Readable.from([body])),
    signal,
  };
}

/** Turns a body that is pushed into one that is pulled. */
async function* readStream(
  body: (sink: ByteSink) => Promise<void>,
  signal: AbortSignal,
  stop: () => void,
): AsyncGenerator<Uint8Array, void> {
  let ready: Uint8Array[] = [];
  let readyBytes = 0;
  let isEnded = false;
  let failure: unknown;
  let wake = Promise.withResolvers<void>();
  let room = Promise.withResolvers<void>();
  let isWakePlanned = false;
  // Events are told before the write that caused them is answered: the answer goes first, and what comes meanwhile is read at once.
  const wakeSoon = (): void => {
    if (isWakePlanned) return;
    isWakePlanned = true;
    setImmediate(() => {
      isWakePlanned = false;
      wake.resolve();
    });
  };
  const sink: ByteSink = {
    write: (bytes) => {
      ready.push(bytes);
      readyBytes += bytes.byteLength;
      wakeSoon();
      return readyBytes < readyBytesMax;
    },
    drained: () => room.promise,
    get pendingBytes() {
      return readyBytes;
    },
  };
  const end = (error?: unknown): void => {
    failure = error;
    isEnded = true;
    wake.resolve();
    room.resolve();
  };
  const onAbort = (): void => end(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  void body(sink).then(() => end(), end);
  try {
    for (;;) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
      const taken = ready;
      ready = [];
      readyBytes = 0;
      room.resolve();
      room = Promise.withResolvers<void>();
      for (const bytes of taken) {
        while (!readingTime.isLeft()) await nextTurn();
        yield bytes; // What its reader does with it at once has been done when it asks for the next.
      }
      if (signal.aborted) throw signal.reason;
      if (isEnded && ready.length === 0) {
        if (failure !== undefined) throw failure;
        return;
      }
      if (isEnded) wake.resolve();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    stop();
  }
}
