/** One HTTP request at a time to a registry, over a connection that may be made elsewhere. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { connect as tcpConnect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { shortened } from '#api/oci/document.ts';
import { systemClock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { http } from '#base/http/http.ts';
import { familyOfIp } from '#base/ip.ts';

/** Opens a TCP connection. `podwright up` passes one that leaves through the launcher, outside the node's namespaces. */
export type Connect = (
  target: { readonly host: string; readonly port: number },
  signal: AbortSignal,
) => Promise<Duplex>;

export interface TransportOptions {
  readonly connect?: Connect | undefined;
  /** PEM certificates of further authorities. */
  readonly authorities?: readonly string[] | undefined;
  /** PEM, shown to servers that ask. */
  readonly client?: readonly { readonly cert: string; readonly key: string }[] | undefined;
  /** Certificates are not looked at. */
  readonly skipsVerify?: boolean | undefined;
  /** For one server alone: no redirect takes them along. */
  readonly own?: { readonly base: string; readonly headers: Readonly<Record<string, string>> } | undefined;
  /** Registries (host or host:port) spoken to in plain HTTP, besides loopback. */
  readonly insecureRegistries?: readonly string[] | undefined;
}

export interface RegistryRequest {
  readonly url: URL;
  /** Of these, Authorization is for the URL's own host: it does not follow a redirect to another one. */
  readonly headers: Readonly<Record<string, string>>;
  /** The Authorization value for a host that a redirect leads to. */
  readonly authorizationFor?: (url: URL) => string | undefined;
}

export interface RegistryResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly url: URL; // after redirects
  readonly body: IncomingMessage;
}

/** Time without a byte after which a connection is given up. */
const idleTimeoutMs = 60_000;
/** From a request to the end of its answer's headers. */
const answerMsMax = 120_000;
const redirectsMax = 5;

/** Sends a GET and follows redirects. The body is the caller's to read or destroy. @throws E_CONNECTION */
export type Transport = (request: RegistryRequest, signal: AbortSignal) => Promise<RegistryResponse>;

export function createTransport(options: TransportOptions): Transport {
  return async (request, signal) => {
    let { headers } = request;
    let url = withoutUserinfo(request.url);
    for (let redirects = 0; redirects <= redirectsMax; redirects++) {
      const body = await get(options, { url, headers: { ...ownHeaders(options, url), ...headers } }, signal);
      const status = body.statusCode ?? 0;
      const { location } = body.headers;
      if (status < 300 || status > 399 || location === undefined)
        return { status, headers: body.headers, url, body };
      body.destroy();
      const next = withoutUserinfo(redirectTarget(location, url));
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new PodwrightError(
          'E_CONNECTION',
          `get ${url.host}: it redirects to plain ${next.protocol}//${next.host}`,
        );
      }
      // Credentials are for the registry, never for the storage it sends us to (RFC 9110, 15.4).
      if (!isSameServer(next, url)) headers = withoutAuthorization(headers);
      const own = request.authorizationFor?.(next);
      if (own !== undefined) headers = { ...withoutAuthorization(headers), authorization: own };
      url = next;
    }
    throw new PodwrightError('E_CONNECTION', `get ${request.url.host}: more than ${redirectsMax} redirects`);
  };
}

function ownHeaders({ own }: TransportOptions, url: URL): Readonly<Record<string, string>> {
  return own !== undefined && isSameServer(url, new URL(own.base)) ? own.headers : {};
}

/** Whether what was meant for one may go to the other: the same host and port, and not less encrypted. */
export function isSameServer(next: URL, url: URL): boolean {
  return next.host === url.host && (next.protocol === url.protocol || next.protocol === 'https:');
}

/** @throws E_CONNECTION where a registry's redirect leads to nothing that is asked by HTTP */
function redirectTarget(location: string, from: URL): URL {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (target?.protocol === 'http:' || target?.protocol === 'https:') return target;
  throw new PodwrightError(
    'E_CONNECTION',
    `get ${from.host}: it redirects to ${JSON.stringify(shortened(location))}, which is no address of HTTP`,
  );
}

/** `user:password@` in a URL is not ours to send: Node's client would make a header of it. */
function withoutUserinfo(given: URL): URL {
  const url = new URL(given);
  url.username = '';
  url.password = '';
  return url;
}

/** `https`, or `http` for loopback and for registries configured so. */
export function schemeOf(host: string, insecureRegistries: readonly string[] = []): 'http' | 'https' {
  const name = host.replace(/:\d+$/, '');
  const isLoopback =
    name === 'localhost' || name === '[::1]' || (familyOfIp(name) === 4 && name.startsWith('127.'));
  return isLoopback || insecureRegistries.includes(host) || insecureRegistries.includes(name)
    ? 'http'
    : 'https';
}

async function get(
  options: TransportOptions,
  request: RegistryRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { url, headers } = request;
  const isSecure = url.protocol === 'https:';
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  try {
    const raw = await (options.connect ?? connectDirectly)({ host, port }, signal);
    const socket = isSecure ? await secure(raw, host, options, signal) : raw;
    return await exchange(socket, { url, headers }, signal);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof PodwrightError) throw cause;
    const why = errnoOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
    throw new PodwrightError('E_CONNECTION', `connect to ${url.host}: ${why}`, { cause });
  }
}

function exchange(socket: Duplex, request: RegistryRequest, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = http.request(request.url.href.replace(/^https:/, 'http:'), {
    headers: { ...request.headers, 'user-agent': 'podwright', connection: 'close', host: request.url.host },
    createConnection: () => socket,
    signal,
    timeout: idleTimeoutMs,
  });
  const late = systemClock.after(answerMsMax, () =>
    outgoing.destroy(new Error(`no answer within ${answerMsMax / 1000} s`)),
  );
  outgoing.once('response', (response) => {
    late[Symbol.dispose]();
    resolve(response);
  });
  outgoing.once('error', (error) => {
    late[Symbol.dispose]();
    reject(error);
  });
  outgoing.once('timeout', () => outgoing.destroy(new Error(`nothing came for ${idleTimeoutMs / 1000} s`)));
  outgoing.end();
  return promise;
}

const connectDirectly: Connect = (target, signal) => {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const socket = tcpConnect({ ...target, signal, timeout: idleTimeoutMs });
  socket.once('connect', () => resolve(socket));
  socket.once('error', reject);
  socket.once('timeout', () => socket.destroy(new Error('timed out')));
  return promise;
};

function secure(
  socket: Duplex,
  host: string,
  { authorities, client, skipsVerify }: TransportOptions,
  signal: AbortSignal,
): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const tls = tlsConnect({
    socket,
    ...(familyOfIp(host) === undefined ? { servername: host } : {}),
    ...(authorities === undefined ? {} : { ca: [...authorities] }),
    ...(client === undefined
      ? {}
      : { cert: client.map(({ cert }) => cert), key: client.map(({ key }) => key) }),
    ...(skipsVerify === true ? { rejectUnauthorized: false } : {}),
  });
  signal.addEventListener('abort', () => tls.destroy(), { once: true });
  tls.once('secureConnect', () => resolve(tls));
  tls.once('error', reject);
  return promise;
}

function withoutAuthorization(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
  );
}
