import {
  createSecureServer,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ByteRoom } from '#base/byte-room.ts';
import { systemClock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import {
  bodiesBytesMax,
  callerOf,
  headersOf,
  isUrgent,
  joinHeaders,
  readExchange,
  sinkOf,
  WaitingClient,
  type ServerRooms,
} from './http-exchange.ts';
import { endQuietConnections } from './quiet-connections.ts';
import { serveStream } from './http-stream.ts';
import type { ApiRequest, ApiResponse } from './request.ts';
import type { RequestTurns } from './request-turns.ts';
import { UnreadAnswers } from './unread-answers.ts';

export interface HttpServerOptions {
  readonly serving: KeyPair;
  readonly caCertPem: string;
  readonly logger: Logger;
  readonly handle: (request: ApiRequest) => Promise<ApiResponse>;
  /** In which requests begin: shared by all ways in. */
  readonly turns: RequestTurns;
  /** A connection that asks to become something else (exec, attach, port-forward over HTTP/1.1). Owns the socket. */
  readonly upgrade: (request: ApiRequest, upgrade: Upgrade) => Promise<void>;
  /** Instead of `connectionIdleMs` and `answeringMs`, of HTTP/2: for tests. */
  readonly idleMs?: number;
  readonly pingMs?: number;
}

/** What is left of an HTTP/1.1 connection whose request asked for an upgrade: raw bytes both ways. */
export interface Upgrade {
  readonly socket: Duplex;
  /** Bytes of the new protocol that came with the request. */
  readonly head: Uint8Array;
  /** The request as it came. */
  readonly message: IncomingMessage;
}

/** Bounds of one HTTP/2 connection; a client that needs more opens another. */
const streamsMax = 1000;
const headerPairsMax = 200;
/**
 * Request line and headers together, as Go's server takes them; the arguments of `kubectl exec` stand in the request line. Of
 * HTTP/2, nghttp2 takes no single value of more than 64 KiB.
 */
const headerBytesMax = 1_048_576;
const windowBytes = 1_048_576;
/** Node's own 10 MB refuse further streams while one large list is on its way. */
const sessionMegabytesMax = 256;

/** Connections at once; each costs some 70 KB. What comes then is closed. */
const connectionsMax = 10_000;
const handshakeMs = 10_000;
/** Of HTTP/1.1: the request line and headers; the whole request (Kubernetes' ReadHeaderTimeout is 32 s). */
const headersMs = 32_000;
const requestMs = 300_000;
/** A connection without a request: what kube-apiserver keeps it, announced by `Keep-Alive: timeout=90`. */
export const connectionIdleMs = 90_000;
/** How long a client that is asked whether it is there may take to say so. */
const answeringMs = 15_000;
/** Streams that a client may reset at once, and a second (CVE-2023-44487); a client that resets more is sent away. */
const resetsBurstMax = 1000;
const resetsPerSecond = 100;

/** What a listener shows, and whose clients it believes: of tls.createServer, and of setSecureContext while it runs. */
export function servingContext({ serving, caCertPem }: Pick<HttpServerOptions, 'serving' | 'caCertPem'>): {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
  readonly minVersion: 'TLSv1.2';
} {
  return { key: serving.keyPem, cert: serving.certPem, ca: caCertPem, minVersion: 'TLSv1.2' };
}

/** HTTP/2 and HTTP/1.1 on one TLS port, each request through `handle`. Not yet listening. */
export function createHttpServer(options: HttpServerOptions): Http2SecureServer {
  const server = createSecureServer({
    allowHTTP1: true,
    ...servingContext(options),
    requestCert: true,
    rejectUnauthorized: false, // Authentication decides: a token may stand in for a certificate.
    settings: {
      maxConcurrentStreams: streamsMax,
      initialWindowSize: windowBytes,
      maxHeaderListSize: headerBytesMax,
    },
    ...{ maxHeaderSize: headerBytesMax }, // Of HTTP/1.1; Node passes it on, its types do not know.
    maxSessionMemory: sessionMegabytesMax,
    maxHeaderListPairs: headerPairsMax,
    handshakeTimeout: handshakeMs,
    streamResetBurst: resetsBurstMax,
    streamResetRate: resetsPerSecond,
    ...http1Times,
  });
  server.maxConnections = connectionsMax;
  const rooms: ServerRooms = {
    bodies: new ByteRoom(bodiesBytesMax),
    unread: new UnreadAnswers(systemClock, (why) => options.logger.debug({ why }, 'answer cut off')),
    turns: options.turns,
  };
  const shared: Serving = { ...options, rooms };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const start = (): void => void serve(shared, request, response);
    rooms.turns.begin(request.socket, start, { isUrgent: isUrgent(request.url ?? '/') });
  });
  // The listener for requests brought one for streams that gives them the face of HTTP/1.1, at half their cost again.
  server.removeAllListeners('stream');
  server.on(
    'stream',
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
      serveStream(shared, stream, { headers, rawHeaders });
    },
  );
  endQuietConnections(server, systemClock, {
    idleMs: options.idleMs ?? connectionIdleMs,
    answeringMs: options.pingMs ?? answeringMs,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    void options.upgrade(readRequest(request, new WaitingClient(socket), rooms), {
      socket,
      head,
      message: request,
    });
  });
  server.on('sessionError', (error) =>
    options.logger.debug({ error: String(error) }, 'HTTP/2 session ended'),
  );
  server.on('tlsClientError', (error) =>
    options.logger.debug({ error: String(error) }, 'TLS handshake ended'),
  );
  return server;
}

/** Passed on to the server of HTTP/1.1; the types of HTTP/2 do not know them. */
const http1Times = {
  keepAliveTimeout: connectionIdleMs,
  headersTimeout: headersMs,
  requestTimeout: requestMs,
  connectionsCheckingInterval: 5_000,
};

type Serving = HttpServerOptions & { readonly rooms: ServerRooms };

async function serve(options: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  using client = new WaitingClient(response);

  try {
    const answer = await options.handle(readRequest(request, client, options.rooms));
    await send(request, response, { answer, unread: options.rooms.unread });
  } catch (error) {
    options.logger.debug({ error: String(error), path: request.url }, 'response cut off');
    request.socket.destroy();
  }
}

function readRequest(request: IncomingMessage, client: WaitingClient, rooms: ServerRooms): ApiRequest {
  return readExchange({
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    headers: joinHeaders(request.headers),
    rawHeaders: request.rawHeaders,
    caller: callerOf(request.socket, request.socket),
    body: request,
    client,
    room: rooms.bodies,
  });
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, unread }: { readonly answer: ApiResponse; readonly unread: UnreadAnswers },
): Promise<void> {
  const { body } = answer;
  unread.add(response, body instanceof Uint8Array ? body.byteLength : 0);
  response.once('close', () => unread.remove(response));
  // Whoever was answered in the middle of sending need not go on.
  response.once('finish', () => {
    if (!request.complete) request.destroy();
  });
  response.writeHead(answer.status, headersOf(answer));
  if (request.method === 'HEAD') {
    response.end();
  } else if (body instanceof Uint8Array) {
    response.end(body);
  } else {
    response.flushHeaders(); // A watch says that it is there before anything happens.
    await body(sinkOf(response, unread));
    response.end();
  }
}
