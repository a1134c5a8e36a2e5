import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Readable } from 'node:stream';
import tls from 'node:tls';
import { systemClock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import { at, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { internalError, serviceUnavailable, statusError } from '#api/errors/status.ts';
import { isPodwrightError } from '#base/errors.ts';
import { describeFailure } from '#control-plane/apiserver/chain/admission/webhooks/http-failure.ts';
import type { KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import { checkHost, guardedLookup, isDialable, type MayDial } from './dialable.ts';

/** Where a kubelet, pod or Service answers. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** kubelet: TLS, both sides with certificates of the cluster; https: TLS of whatever is there; http: none. */
  readonly scheme: 'kubelet' | 'https' | 'http';
}

export interface NodeRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: http.OutgoingHttpHeaders;
  /** What comes by and by is sent by a connection of its own: it cannot be sent again. */
  readonly body?: Uint8Array | Readable;
  readonly signal: AbortSignal;
}

/** Connections from the API server to nodes, and to what runs on them. */
export interface NodeDialer extends Disposable {
  /**
   * Resolves with the head of the response.
   * @throws {E_API} 400 for an address that is none of ours to dial, 500 or 503 (pods, Services) when nobody answers
   */
  request(endpoint: Endpoint, request: NodeRequest): Promise<http.IncomingMessage>;
  /** A connected socket, owned by the caller. @throws {E_API} 400, 500, 503 */
  connect(endpoint: Endpoint): Promise<net.Socket>;
}

export interface NodeDialerOptions {
  /** As they are now: asked for each connection. */
  readonly credentials: () => { readonly caCertPem: string; readonly client: KeyPair };
  /** Default `isDialable`; for tests, whose kubelets and pods are on loopback. */
  readonly mayDial?: MayDial;
}

const connectTimeoutMs = 10_000;
const socketsPerNodeMax = 256;

export function createNodeDialer(options: NodeDialerOptions): NodeDialer {
  const { credentials, mayDial = isDialable } = options;
  const lookup = guardedLookup(mayDial);
  const kubeletTls = (): Pick<tls.SecureContextOptions, 'ca' | 'cert' | 'key'> => {
    const { caCertPem: ca, client } = credentials();
    return { ca, cert: client.certPem, key: client.keyPem };
  };
  // Keeps a connection for those alone who show the same certificate.
  const kubeletAgent = new https.Agent({ keepAlive: true, maxSockets: socketsPerNodeMax });
  return {
    request: async (endpoint, { method, path, headers, body, signal }) => {
      const { host, port, scheme } = endpoint;
      checkHost(host, mayDial);
      const options = { host, port, method, path, headers, signal, lookup };
      // `agent: false`: a connection of its own, which is not kept.
      const open = (fresh: { readonly agent?: false }): http.ClientRequest => {
        // Pods may end lines without CR, as scripts of busybox's httpd do: Go reads them, too.
        const toPod = { ...options, ...fresh, insecureHTTPParser: true };
        if (scheme === 'http') return http.request(toPod);
        if (scheme === 'https') return https.request({ ...toPod, rejectUnauthorized: false });
        return https.request({ ...options, ...kubeletTls(), agent: kubeletAgent, ...fresh });
      };
      const isWhole = body === undefined || body instanceof Uint8Array;
      const first = await answerOf(open(isWhole ? {} : { agent: false }), body);
      const isAgain = isWhole && mayAskAgain(first, { method, bodyBytes: body?.byteLength ?? 0 });
      const outcome = isAgain ? await answerOf(open({ agent: false }), body) : first;
      if (outcome.kind === 'broken') throw dialError(endpoint, outcome.error);
      return outcome.answer;
    },
    connect: async (endpoint) => {
      const { host, port, scheme } = endpoint;
      checkHost(host, mayDial);
      const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
      const socket =
        scheme === 'http'
          ? net.connect({ host, port, lookup, timeout: connectTimeoutMs })
          : tls.connect({
              host,
              port,
              lookup,
              timeout: connectTimeoutMs,
              ...(scheme === 'kubelet' ? kubeletTls() : { rejectUnauthorized: false }),
            });
      socket.once(scheme === 'http' ? 'connect' : 'secureConnect', () => {
        socket.setTimeout(0);
        socket.setNoDelay(true);
        resolve(socket);
      });
      socket.once('timeout', () => socket.destroy(new Error('connect timeout')));
      socket.on('error', (error) => reject(dialError(endpoint, error)));
      return promise;
    },
    [Symbol.dispose]: () => kubeletAgent.destroy(),
  };
}

/** What may be sent twice (RFC 9110 9.2.1). */
const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const staleErrors: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE']);
/** What a socket takes in one write; of more, a part may be sent before a write fails (tcp(7), tcp_wmem's least). */
export const oneWriteBytesMax = 4096;

/** What came of a request: the head of its answer, or the end of its connection without one. */
export type Outcome =
  | { readonly kind: 'answer'; readonly answer: http.IncomingMessage }
  | { readonly kind: 'broken'; readonly error: Error; readonly isReused: boolean };

/**
 * Whether a request met a kept connection that the other end was closing, and may be sent again: nothing was sent, as the very write failed,
 * or nobody minds when it is done twice.
 */
export function mayAskAgain(
  outcome: Outcome,
  { method, bodyBytes }: { readonly method: string; readonly bodyBytes: number },
): boolean {
  if (outcome.kind !== 'broken' || !outcome.isReused || !staleErrors.has(errnoOf(outcome.error)))
    return false;
  const { syscall } = outcome.error as NodeJS.ErrnoException;
  return safeMethods.has(method) || (syscall === 'write' && bodyBytes <= oneWriteBytesMax);
}

/** Sends a request. */
function answerOf(outgoing: http.ClientRequest, body: Uint8Array | Readable | undefined): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = systemClock.after(connectTimeoutMs, () => outgoing.destroy(new Error('connect timeout')));
    socket.once('connect', () => timer[Symbol.dispose]());
    socket.once('close', () => timer[Symbol.dispose]());
  });
  outgoing.once('response', (answer) => {
    const malformed = malformedHeader(answer.rawHeaders);
    if (malformed === undefined) resolve({ kind: 'answer', answer });
    else outgoing.destroy(new Error(`malformed header ${malformed}`));
  });
  outgoing.on('error', (error) => resolve({ kind: 'broken', error, isReused: outgoing.reusedSocket }));
  if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
  else sendOn(body, outgoing);
  return promise;
}

/** The name of a header that can be told to no client: what is read leniently is not passed on (RFC 9110 5.5). */
function malformedHeader(lines: readonly string[]): string | undefined {
  const at = lines.findIndex(
    (text, index) => index % 2 === 1 && /[^\t\u0020-\u007e\u0080-\u00ff]/.test(text),
  );
  return at < 0 ? undefined : lines[at - 1];
}

/** A body as it comes. What the other end does not want any more is read nevertheless: some clients look for the answer only then. */
function sendOn(body: Readable, outgoing: http.ClientRequest): void {
  outgoing.once('close', () => body.unpipe(outgoing).resume());
  body.once('error', (error) => outgoing.destroy(error));
  body.once('close', () => {
    if (!body.readableEnded) outgoing.destroy(new Error('the body was cut off'));
  });
  body.pipe(outgoing);
}

const addressTypes = ['InternalIP', 'ExternalIP', 'Hostname', 'InternalDNS', 'ExternalDNS'];
const kubeletPort = 10_250;

/** Where the node's kubelet answers. @throws {E_API} 500 when the node has no address */
export function kubeletEndpoint(node: JsonObject): Endpoint {
  const addresses = objectsOf(at(node, 'status.addresses'));
  const found = addressTypes.flatMap((wanted) => addresses.filter(({ type }) => type === wanted))[0];
  if (found === undefined) {
    const known = addresses.map(({ type }) => stringOf(type)).join(' ');
    throw statusError(500, '', `no preferred addresses found; known addresses: [${known}]`);
  }
  const port = numberOf(at(node, 'status.daemonEndpoints.kubeletEndpoint.Port'));
  return { host: stringOf(found['address']), port: port === 0 ? kubeletPort : port, scheme: 'kubelet' };
}

/** A kubelet ought to answer; a pod or Service that does not is the user's to look after. */
function dialError({ host, port, scheme }: Endpoint, error: Error): Error {
  if (isPodwrightError(error, 'E_API')) return error;
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const cause = describeFailure(error, { address, host });
  return scheme === 'kubelet'
    ? internalError(`error dialing backend: ${cause}`)
    : serviceUnavailable(`error trying to reach service: ${cause}`);
}
