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
import { answerPlainHttp } from '#base/http/plain-http.ts';
import type { KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import { limitConnectionsByAddress } from './connections-by-address.ts';
import { doorLimits, type DoorLimits } from './door-limits.ts';
import {
  beginnerOf,
  bodiesBytesMax,
  bodyIdleMs,
  callerOf,
  headersOf,
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
import { SlowBodies } from './slow-bodies.ts';
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
  /** Others than `doorLimits`: for tests. */
  readonly limits?: Partial<DoorLimits>;
}

/** What is left of an HTTP/1.1 connection whose request asked for an upgrade: raw bytes both ways. */
export interface Upgrade {
  readonly socket: Duplex;
  /** Bytes of the new protocol that came with the request. */
  readonly head: Uint8Array;
  /** The request as it came. */
  readonly message: IncomingMessage;
}

const windowBytes = 1_048_576;
/** Node's own 10 MB refuse further streams while one large list is on its way. */
const sessionMegabytesMax = 256;

/** What a listener shows, and whose clients it believes: of tls.createServer, and of setSecureContext while it runs. */
export function servingContext({ serving, caCertPem }: Pick<HttpServerOptions, 'serving' | 'caCertPem'>): {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
  readonly minVersion: 'TLSv1.2';
  readonly allowPartialTrustChain: true;
} {
  return {
    key: serving.keyPem,
    cert: serving.certPem,
    ca: caCertPem,
    minVersion: 'TLSv1.2',
    allowPartialTrustChain: true, // A bundle may hold an authority that another one signed, without that one.
  };
}

/** HTTP/2 and HTTP/1.1 on one TLS port, each request through `handle`. Not yet listening. */
export function createHttpServer(options: HttpServerOptions): Http2SecureServer {
  const limits: DoorLimits = { ...doorLimits, ...options.limits };
  const server = createSecureServer({
    allowHTTP1: true,
    ...servingContext(options),
    requestCert: true,
    rejectUnauthorized: false, // Authentication decides: a token may stand in for a certificate.
    settings: {
      maxConcurrentStreams: limits.streamsMax,
      initialWindowSize: windowBytes,
      maxHeaderListSize: limits.headerBytesMax,
    },
    ...{ maxHeaderSize: limits.headerBytesMax }, // Of HTTP/1.1; Node passes it on, its types do not know.
    maxSessionMemory: sessionMegabytesMax,
    maxSessionRejectedStreams: limits.refusedStreamsMax,
    maxSessionInvalidFrames: limits.invalidFramesMax,
    maxHeaderListPairs: limits.headerPairsMax,
    handshakeTimeout: limits.handshakeMs,
    streamResetBurst: limits.resetsBurstMax,
    streamResetRate: limits.resetsPerSecond,
    ...http1Times(limits),
  });
  server.maxConnections = limits.connectionsMax;
  limitConnectionsByAddress(server, limits.connectionsPerAddressMax);
  const rooms: ServerRooms = {
    bodies: { room: new ByteRoom(bodiesBytesMax), slow: new SlowBodies(systemClock, bodyIdleMs) },
    unread: new UnreadAnswers(systemClock, (why) => options.logger.debug({ why }, 'answer cut off')),
    turns: options.turns,
  };
  const shared: Serving = { ...options, rooms };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const start = (): void => void serve(shared, request, response);
    rooms.turns.begin(beginnerOf(request.socket, request.url ?? '/'), start);
  });
  server.on('session', (session) => rooms.turns.meet(beginnerOf(session, '')));
  // The listener for requests brought one for streams that gives them the face of HTTP/1.1, at half their cost again.
  server.removeAllListeners('stream');
  server.on(
    'stream',
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
      serveStream(shared, stream, { headers, rawHeaders });
    },
  );
  endQuietConnections(server, systemClock, {
    idleMs: limits.connectionIdleMs,
    answeringMs: limits.answeringMs,
    emptyBytesMax: limits.emptyBytesMax,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    rooms.turns.forget(socket);
    void options.upgrade(readRequest(request, new WaitingClient(socket), rooms), {
      socket,
      head,
      message: request,
    });
  });
  server.on('sessionError', (error) =>
    options.logger.debug({ error: String(error) }, 'HTTP/2 session ended'),
  );
  answerPlainHttp(server);
  server.on('tlsClientError', (error) =>
    options.logger.debug({ error: String(error) }, 'TLS handshake ended'),
  );
  return server;
}

/** Passed on to the server of HTTP/1.1; the types of HTTP/2 do not know them. */
function http1Times({ connectionIdleMs, headersMs, requestMs }: DoorLimits): {
  readonly keepAliveTimeout: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly connectionsCheckingInterval: number;
} {
  return {
    keepAliveTimeout: connectionIdleMs,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.min(5_000, headersMs),
  };
}

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
    bodies: rooms.bodies,
  });
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, unread }: { readonly answer: ApiResponse; readonly unread: UnreadAnswers },
): Promise<void> {
  const { body } = answer;
  const unreadAnswer = unread.add(response, body instanceof Uint8Array ? body.byteLength : 0);
  response.once('close', () => unread.remove(unreadAnswer));
  // What comes of a body that nobody reads is thrown away, and the connection good for the next request. Who has more to send need not go on, and is told.
  const isKept = request.complete || isRestShort(request);
  response.once('finish', () => {
    if (isKept) request.resume();
    else if (!request.complete) request.destroy();
  });
  response.writeHead(
    answer.status,
    isKept ? headersOf(answer) : { ...headersOf(answer), connection: 'close' },
  );
  if (request.method === 'HEAD') {
    response.end();
  } else if (body instanceof Uint8Array) {
    response.end(body);
  } else {
    response.flushHeaders(); // A watch says that it is there before anything happens.
    await body(sinkOf(response, (bytes) => unread.waiting(unreadAnswer, bytes)));
    response.end();
  }
}

/** As much as Go's server throws away, in bytes (net/http, maxPostHandlerReadBytes). */
const thrownAwayBytesMax = 262_144;

/** Whether a request says of its body that it is short. */
function isRestShort({ headers }: IncomingMessage): boolean {
  return (
    headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) <= thrownAwayBytesMax
  );
}
