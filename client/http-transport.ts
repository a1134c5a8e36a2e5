import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

export interface HttpTransportOptions {
  /** `https://host:port`, with a path when the server is behind one. */
  readonly server: string;
  readonly caPem?: string | undefined;
  /** The name to check in the server's certificate, when it is not that of the address. */
  readonly serverName?: string | undefined;
  readonly insecureSkipTlsVerify?: boolean | undefined;
  readonly clientCertPem?: string | undefined;
  readonly clientKeyPem?: string | undefined;
  /** Instead of the three above, as they are when a connection is made: they are renewed while it runs. */
  readonly credentials?: () => ClientCredentials;
  /** A bearer token, or where to get the current one: service account tokens are renewed in their file. */
  readonly token?: string | (() => string) | undefined;
  readonly clock: Clock;
  readonly requestTimeoutMs?: number;
  /**
   * Asked about each new connection, with a way to ask on it: nothing else goes over it before this resolves. What it throws is
   * the answer of the requests that wait.
   */
  readonly admit?: (ask: AskPath) => Promise<void>;
}

/** PEM. */
export type ClientCredentials = Pick<HttpTransportOptions, 'caPem' | 'clientCertPem' | 'clientKeyPem'>;

export type AskPath = (path: string) => Promise<{ readonly status: number; readonly body: string }>;

interface SessionEntry {
  /** The client certificate that was shown. */
  readonly certPem: string | undefined;
  streams: number;
  readonly ping: Disposable;
  /** Undefined once it may be used. */
  admission: Promise<void> | undefined;
}

/** Streams per connection, below what servers grant (Go's HTTP/2 servers: 100 or 250); more opens another connection. */
const streamsPerSessionMax = 90;
const windowBytes = 1_048_576;
const connectionWindowBytes = 16 * windowBytes;
// As client-go: a silent connection is asked after 30 s and given up 15 s later.
const pingAfterMs = 30_000;
const pingTimeoutMs = 15_000;

/**
 * HTTP/2 over TLS: all requests and watches share a connection, which is made when first needed and made anew after it
 * broke. A request on a connection that breaks fails with E_CONNECTION; it is not repeated, as it may have been done.
 */
export function createHttpTransport(options: HttpTransportOptions): Transport {
  const url = new URL(options.server);
  if (url.protocol !== 'https:') {
    throw new PodwrightError('E_UNSUPPORTED', `connect to ${options.server}: only https is supported`);
  }
  const basePath = url.pathname === '/' ? '' : url.pathname.replace(/\/$/, '');
  const sessions = new Map<ClientHttp2Session, SessionEntry>();
  let isClosed = false;

  const openSession = (): ClientHttp2Session => {
    const session = connect(url.origin, {
      ...tlsOptions(options),
      settings: { initialWindowSize: windowBytes, enablePush: false },
    });
    const drop = (): void => {
      sessions.get(session)?.ping[Symbol.dispose]();
      sessions.delete(session);
    };
    session.once('connect', () => session.setLocalWindowSize(connectionWindowBytes));
    session.once('close', drop);
    session.once('goaway', drop); // Streams under way may finish; new ones go to a new connection.
    session.on('error', drop); // Each stream on it gets the error itself.
    const entry: SessionEntry = {
      certPem: certificateOf(options),
      streams: 0,
      ping: keepAlive(session, options.clock),
      admission: undefined,
    };
    sessions.set(session, entry);
    const ask = (path: string): ReturnType<AskPath> =>
      askOn(path, session, (wanted) => send(session, wanted));
    if (options.admit !== undefined) admitTo(session, entry, options.admit(ask));
    return session;
  };
  const send = (session: ClientHttp2Session, wanted: TransportRequest): Promise<TransportResponse> => {
    const stream = session.request(requestHeaders(options, basePath, wanted), {
      endStream: wanted.body === undefined,
    });
    const entry = sessions.get(session);
    if (entry !== undefined) {
      entry.streams += 1;
      stream.once('close', () => (entry.streams -= 1));
    }
    if (wanted.body !== undefined) stream.end(wanted.body);
    return respond(stream, wanted, options.requestTimeoutMs ?? 60_000);
  };
  const request = async (wanted: TransportRequest): Promise<TransportResponse> => {
    for (;;) {
      if (isClosed) throw new PodwrightError('E_CLOSED', `${wanted.method} ${wanted.path}: client closed`);
      wanted.signal?.throwIfAborted();
      const session = sessionIn(sessions, certificateOf(options)) ?? openSession();
      const admission = sessions.get(session)?.admission;
      if (admission === undefined) return send(session, wanted);
      await untilAborted(admission, wanted.signal);
    }
  };
  return {
    request,
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      await Promise.all([...sessions.keys()].map(destroySession));
    },
  };
}

/** One on which another request may begin. */
function sessionIn(
  sessions: ReadonlyMap<ClientHttp2Session, SessionEntry>,
  certPem: string | undefined,
): ClientHttp2Session | undefined {
  for (const [session, entry] of sessions) {
    if (session.closed || session.destroyed) continue;
    // With a certificate that was renewed since: what is under way ends, nothing new begins, or it would be refused one day.
    if (entry.certPem !== certPem) session.close();
    else if (entry.streams < streamsPerSessionMax) return session;
  }
  return undefined;
}

function destroySession(session: ClientHttp2Session): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  session.once('close', resolve);
  session.destroy();
  return promise;
}

/** Holds requests until the admission, which a connection that breaks ends as well. */
function admitTo(session: ClientHttp2Session, entry: SessionEntry, admitted: Promise<void>): void {
  const closed = Promise.withResolvers<never>();
  session.once('close', () => {
    closed.reject(new PodwrightError('E_CONNECTION', 'connect to the API server: connection closed'));
  });
  entry.admission = Promise.race([admitted, closed.promise]);
  entry.admission.then(
    () => (entry.admission = undefined),
    () => session.destroy(), // The requests that wait get the reason.
  );
}

async function askOn(
  path: string,
  session: ClientHttp2Session,
  send: (wanted: TransportRequest) => Promise<TransportResponse>,
): ReturnType<AskPath> {
  if (session.closed || session.destroyed) {
    throw new PodwrightError('E_CONNECTION', `GET ${path}: connection closed`);
  }
  const { status, body } = await send({ method: 'GET', path, headers: { accept: 'application/json' } });
  return { status, body: body instanceof Uint8Array ? Buffer.from(body).toString() : '' };
}

/** Resolves with the promise, or rejects with the signal's reason. */
async function untilAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function respond(
  stream: ClientHttp2Stream,
  wanted: TransportRequest,
  timeoutMs: number,
): Promise<TransportResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<TransportResponse>();
  const what = `${wanted.method} ${wanted.path}`;
  const { signal } = wanted;
  let brokenBy: unknown;
  let isAnswered = false;
  const answer = (response: TransportResponse): void => {
    isAnswered = true;
    resolve(response);
  };
  const asError = (): unknown => {
    if (signal?.aborted === true) return signal.reason;
    const why = brokenBy === undefined ? 'connection closed' : describeError(brokenBy);
    return new PodwrightError('E_CONNECTION', `${what}: ${why}`, { cause: brokenBy });
  };
  const onAbort = (): void => stream.close(constants.NGHTTP2_CANCEL);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (wanted.stream !== true) {
    stream.setTimeout(timeoutMs, () => {
      brokenBy = new PodwrightError('E_TIMEOUT', `no answer in ${timeoutMs} ms`);
      stream.close(constants.NGHTTP2_CANCEL);
    });
  }
  if (wanted.stream === true && wanted.headMsMax !== undefined) {
    const { headMsMax } = wanted;
    stream.setTimeout(headMsMax, () => {
      brokenBy = new PodwrightError('E_TIMEOUT', `not begun in ${headMsMax} ms`);
      stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.once('response', () => stream.setTimeout(0));
  }
  stream.on('error', (error) => (brokenBy ??= error));
  const chunks: Buffer[] = [];
  stream.once('close', () => {
    signal?.removeEventListener('abort', onAbort);
    if (!isAnswered) reject(asError()); // An error costs its stack, which nobody would read.
  });
  stream.once('response', (head) => {
    const status = head[':status'] ?? 0;
    const headers = Object.fromEntries(
      Object.entries(head).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : String(value),
      ]),
    );
    if (wanted.stream === true && status < 400) {
      answer({ status, headers, body: streamBody(stream, asError) });
      return;
    }
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => {
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) return; // 'close' rejects.
      answer({
        status,
        headers,
        body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks),
      });
    });
  });
  return promise;
}

async function* streamBody(
  stream: ClientHttp2Stream,
  asError: () => unknown,
): AsyncGenerator<Uint8Array, void, void> {
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch {
    throw asError(); // Says what was asked and whether the caller itself ended it.
  }
  if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) throw asError();
}

function certificateOf({ credentials, clientCertPem }: HttpTransportOptions): string | undefined {
  return credentials === undefined ? clientCertPem : credentials().clientCertPem;
}

function requestHeaders(
  options: HttpTransportOptions,
  basePath: string,
  wanted: TransportRequest,
): Record<string, string | string[]> {
  const token = typeof options.token === 'function' ? options.token() : options.token;
  return {
    ...Object.fromEntries(
      Object.entries(wanted.headers).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : [...value],
      ]),
    ),
    ':method': wanted.method,
    ':path': basePath + wanted.path,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(wanted.body === undefined ? {} : { 'content-length': String(wanted.body.byteLength) }),
  };
}

function tlsOptions(options: HttpTransportOptions): Readonly<Record<string, unknown>> {
  const { caPem, clientCertPem, clientKeyPem } = options.credentials?.() ?? options;
  return {
    ...(caPem === undefined ? {} : { ca: caPem }),
    ...(clientCertPem === undefined ? {} : { cert: clientCertPem }),
    ...(clientKeyPem === undefined ? {} : { key: clientKeyPem }),
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    rejectUnauthorized: options.insecureSkipTlsVerify !== true,
    ALPNProtocols: ['h2'],
  };
}

/** A peer that vanished without a word is noticed by a ping that is not answered. */
function keepAlive(session: ClientHttp2Session, clock: Clock): Disposable {
  let timer: Disposable = clock.after(pingAfterMs, ask);
  let isAlive = true;
  function ask(): void {
    if (session.destroyed || !isAlive) return;
    if (session.connecting) {
      session.destroy(new PodwrightError('E_TIMEOUT', `connect: not done in ${pingAfterMs} ms`));
      return;
    }
    timer = clock.after(pingTimeoutMs, () => {
      session.destroy(new PodwrightError('E_TIMEOUT', `ping: no answer in ${pingTimeoutMs} ms`));
    });
    session.ping((error) => {
      timer[Symbol.dispose]();
      if (error === null && isAlive) timer = clock.after(pingAfterMs, ask);
    });
  }
  return {
    [Symbol.dispose]: () => {
      isAlive = false;
      timer[Symbol.dispose]();
    },
  };
}
