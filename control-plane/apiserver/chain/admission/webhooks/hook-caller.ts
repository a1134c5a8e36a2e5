import { createHash } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { JsonObject } from '#api/meta/object.ts';
import { familyOfIp } from '#base/ip.ts';
import { timeoutSignal } from '#base/clock.ts';
import { describeError, errnoOf } from '#base/errors.ts';
import {
  checkHost,
  guardedLookup,
  isDialable,
  type MayDial,
} from '#control-plane/apiserver/nodes/dialable.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { Hook } from './hook.ts';
import type { HookIdentity } from './hook-identities.ts';
import { describeFailure, describeStatus } from './http-failure.ts';
import { redirectOf, redirectsMax, type Method, type Redirect } from './redirect.ts';
import { findServiceEndpoint } from '#control-plane/apiserver/services/service-endpoint.ts';

/** What came of a call: the body of an answer with success, or why there is none. */
export type Called =
  | { readonly body: Buffer; readonly contentType: string }
  | {
      readonly body: undefined;
      readonly reason: string;
      readonly code: number;
      readonly isCanceled: boolean;
    };

export interface CallBounds {
  readonly timeoutMs: number;
  /** Of who waits for it. */
  readonly signal?: AbortSignal | undefined;
  /** As whom the server shows itself to that host. */
  readonly identity?: ((hostAndPort: string) => HookIdentity | undefined) | undefined;
}

/** Who asks hooks. */
export interface HookCaller {
  /** Calls that wait for an answer. */
  readonly waiting: number;
  /** Never rejects, and has an answer when the time is over. */
  call(hook: Pick<Hook, 'place' | 'caPem'>, question: JsonObject, bounds: CallBounds): Promise<Called>;
}

export interface HookCallerOptions {
  readonly registry: Registry;
  /** At which addresses of Services hooks are called. Default `isDialable`. */
  readonly mayDial?: MayDial | undefined;
}

/** An answer holds a patch, which may make all of the largest object (3 MiB) anew, in base64. */
const answerBytesMax = 6 * 1024 * 1024;
/** Calls to one place at once; more wait, within their time. */
const connectionsMax = 64;
const idleConnectionsMax = 8;
/** Places to which connections are kept. */
const poolsMax = 128;
/** Of an answer without success: it becomes a text. */
const failureBytesMax = 2048;
const userAgent = 'kube-apiserver-admission';
const unzip = promisify(gunzip);

/** Calls hooks over HTTP/1.1 and TLS, by connections of each one's own: one that hangs keeps no other waiting. */
export function createHookCaller(options: HookCallerOptions): HookCaller & Disposable {
  const pools = new Pools();
  let waiting = 0;
  return {
    get waiting() {
      return waiting;
    },
    call: async (hook, question, bounds) => {
      const { timeoutMs, signal } = bounds;
      const path = `${pathOf(hook)}?timeout=${Math.ceil(timeoutMs / 1000)}s`;
      const where = `Post ${JSON.stringify(`https://${hostAndPortOf(hook, true)}${path}`)}: `;
      const ofTime = timeoutSignal(Math.max(1, Math.ceil(timeoutMs)));
      const either = signal === undefined ? ofTime : AbortSignal.any([ofTime, signal]);
      waiting++;
      try {
        const target = await beforeEnd(either, targetOf(options, hook));
        const identity = bounds.identity?.(hostAndPortOf(hook, false));
        const withAgent = (at: Target, identityThere: HookIdentity | undefined): Agent =>
          pools.of(at, { caPem: hook.caPem, identity: identityThere });
        const asked = {
          ...target,
          agent: withAgent(target, identity),
          identity,
          path,
          method: 'POST',
        } as const;
        return await ask(asked, JSON.stringify(question), { signal: either, withAgent });
      } catch (error) {
        if (signal?.aborted === true) return failed(`${where}context canceled`, { isCanceled: true });
        if (ofTime.aborted) return failed(`${where}context deadline exceeded`);
        return failed(error instanceof Unconnected ? where + error.message : describeError(error));
      } finally {
        waiting--;
      }
    },
    [Symbol.dispose]: () => pools[Symbol.dispose](),
  };
}

/** No connection, or it broke: told with the address. */
class Unconnected extends Error {}

/** A connection that was kept, and that the other end had closed. */
class StaleConnection extends Unconnected {}

const staleErrors: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE']);

interface Target {
  /** An address, or a name that is looked up. */
  readonly host: string;
  readonly port: number;
  /** For which name the certificate has to be. */
  readonly name: string;
  readonly hostHeader: string;
  /** Which addresses it may be at; undefined: any. */
  readonly mayDial: MayDial | undefined;
}

function failed(
  reason: string,
  more: { readonly code?: number; readonly isCanceled?: boolean } = {},
): Called {
  return { body: undefined, reason, code: 0, isCanceled: false, ...more };
}

/** Whoever writes a configuration may name any URL; addresses of Services come from who runs in the cluster, and are looked at. */
async function targetOf(
  { registry, mayDial = isDialable }: HookCallerOptions,
  hook: Pick<Hook, 'place'>,
): Promise<Target> {
  const { place } = hook;
  const hostHeader = hostAndPortOf(hook, true);
  if (place.kind === 'url') {
    return { ...targetOfUrl(new URL(place.url)), mayDial: undefined };
  }
  const found = await findServiceEndpoint(registry, place);
  if (found.host === undefined) throw new Unconnected(found.reason);
  checkHost(found.host, mayDial);
  return {
    host: found.host,
    port: found.port,
    name: `${place.name}.${place.namespace}.svc`,
    hostHeader,
    mayDial,
  };
}

function targetOfUrl({ hostname, port, host: hostHeader }: URL): Omit<Target, 'mayDial'> {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, name: host, port: port === '' ? 443 : Number(port), hostHeader };
}

/** Of a URL as it stands there; a Service's always with its port, but where identities are looked up by it. */
function hostAndPortOf({ place }: Pick<Hook, 'place'>, asSent: boolean): string {
  if (place.kind === 'service') return `${place.name}.${place.namespace}.svc:${place.port}`;
  const { host, hostname, port } = new URL(place.url);
  return asSent ? host : `${hostname}:${port === '' ? 443 : port}`;
}

function pathOf({ place }: Pick<Hook, 'place'>): string {
  if (place.kind === 'service') return place.path;
  const { pathname } = new URL(place.url);
  return pathname;
}

interface Asked extends Target {
  readonly agent: Agent;
  readonly identity: HookIdentity | undefined;
  readonly path: string;
  readonly method: Method;
}

interface Following {
  readonly signal: AbortSignal;
  readonly withAgent: (target: Target, identity: HookIdentity | undefined) => Agent;
}

/** The answer, wherever redirects lead to. @throws {Unconnected} */
async function ask(first: Asked, body: string, { signal, withAgent }: Following): Promise<Called> {
  let asked = first;
  for (let redirects = 0; ; redirects++) {
    const response = await send(asked, body, signal);
    const { statusCode: code = 0, headers } = response;
    const url = new URL(`https://${asked.hostHeader}${asked.path}`);
    const next = redirectOf({ code, location: headers.location, url, method: asked.method });
    if (next === undefined) return readAnswer(response, asked);
    response.destroy();
    if ('reason' in next) throw new Unconnected(next.reason);
    if (redirects === redirectsMax) throw new Unconnected(`stopped after ${redirectsMax} redirects`);
    asked = redirected(asked, next, withAgent);
  }
}

/** Who is shown to one host is not shown to another; where a Service's hook may not be, it does not lead. */
function redirected(asked: Asked, { url, method }: Redirect, withAgent: Following['withAgent']): Asked {
  const path = url.pathname + url.search;
  if (url.host === asked.hostHeader) return { ...asked, path, method };
  const target = { ...targetOfUrl(url), mayDial: asked.mayDial };
  if (target.mayDial !== undefined) checkHost(target.host, target.mayDial);
  return { ...target, identity: undefined, agent: withAgent(target, undefined), path, method };
}

async function readAnswer(response: IncomingMessage, asked: Asked): Promise<Called> {
  const { statusCode = 0 } = response;
  const isGood = statusCode >= 200 && statusCode <= 206;
  const bytes = await readBytes(response, {
    asked,
    bytesMax: isGood ? answerBytesMax : failureBytesMax,
    isWhole: isGood,
  });
  if (isGood) return { body: bytes, contentType: response.headers['content-type'] ?? '' };
  return failed(describeStatus(statusCode, bytes.toString('utf8')), { code: statusCode });
}

/** Once more where a kept connection turned out to be closed: a hook bears to be asked twice. */
async function send(asked: Asked, body: string, signal: AbortSignal): Promise<IncomingMessage> {
  try {
    return await sendOnce(asked, body, signal);
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error;
    return sendOnce(asked, body, signal);
  }
}

function sendOnce(
  { host, port, name, hostHeader, identity, path, method, agent, mayDial }: Asked,
  body: string,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers: OutgoingHttpHeaders = {
    host: hostHeader,
    'user-agent': userAgent,
    ...(method === 'POST'
      ? { 'content-length': Buffer.byteLength(body), 'content-type': 'application/json' }
      : {}),
    accept: 'application/json, */*',
    'accept-encoding': 'gzip',
    ...(identity?.token === undefined ? {} : { authorization: `Bearer ${identity.token}` }),
  };
  const lookup: LookupFunction | undefined = mayDial === undefined ? undefined : guardedLookup(mayDial);
  const sent = httpsRequest({
    ...{ host, port, path, method, headers, agent, signal },
    ...(lookup === undefined ? {} : { lookup }),
  });
  sent.once('response', resolve);
  sent.on('error', (error) => {
    const text = describeFailure(error, { address: addressText(host, port), host: name });
    const isStale = sent.reusedSocket && staleErrors.has(errnoOf(error));
    reject(isStale ? new StaleConnection(text) : new Unconnected(text));
  });
  sent.end(method === 'POST' ? body : undefined);
  return promise;
}

function addressText(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** As much as it may be; unpacked where it is packed. @throws {Unconnected} beyond that, where all of it is wanted */
async function readBytes(
  response: IncomingMessage,
  {
    asked,
    bytesMax,
    isWhole,
  }: { readonly asked: Asked; readonly bytesMax: number; readonly isWhole: boolean },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      chunks.push(chunk);
      if (length > bytesMax) break;
    }
  } catch (error) {
    throw new Unconnected(
      describeFailure(error, { address: addressText(asked.host, asked.port), host: asked.name }),
    );
  }
  const tooLong = new Unconnected(`the answer is longer than ${bytesMax} bytes`);
  if (length > bytesMax && isWhole) throw tooLong;
  const bytes = Buffer.concat(chunks);
  if (response.headers['content-encoding'] !== 'gzip') return bytes.subarray(0, bytesMax);
  try {
    return await unzip(bytes, { maxOutputLength: bytesMax });
  } catch (error) {
    throw error instanceof RangeError ? tooLong : new Unconnected(describeError(error));
  }
}

/** Settles as the work does, or rejects when the signal aborts. */
async function beforeEnd<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Connections that are kept, by who is trusted and who is shown. The longest unused go. */
class Pools implements Disposable {
  readonly #pools = new Map<string, Agent>();

  /** @throws {Unconnected} where the authorities are none */
  of(
    { name, port, host }: Target,
    { caPem, identity }: { readonly caPem: string; readonly identity: HookIdentity | undefined },
  ): Agent {
    const shown = `${identity?.certPem ?? ''} ${identity?.keyPem ?? ''}`;
    const secret = createHash('sha256').update(`${caPem} ${shown}`).digest('base64');
    const key = `${name} ${host} ${port} ${secret}`;
    const known = this.#pools.get(key) ?? createPool(name, caPem, identity);
    this.#pools.delete(key);
    this.#pools.set(key, known);
    const [oldest] = this.#pools.keys();
    if (this.#pools.size > poolsMax && oldest !== undefined) this.#drop(oldest);
    return known;
  }

  #drop(key: string): void {
    this.#pools.get(key)?.destroy();
    this.#pools.delete(key);
  }

  [Symbol.dispose](): void {
    for (const key of this.#pools.keys()) this.#drop(key);
  }
}

function createPool(name: string, caPem: string, identity: HookIdentity | undefined): Agent {
  if (caPem !== '' && !caPem.includes('-----BEGIN CERTIFICATE-----'))
    throw new Error('unable to load root certificates: unable to parse bytes as PEM block');
  return new Agent({
    ...{ keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: idleConnectionsMax },
    ...(caPem === '' ? {} : { ca: caPem }),
    ...(identity?.certPem === undefined ? {} : { cert: identity.certPem, key: identity.keyPem }),
    // The name of a Service, not the address that answers for it; an address is no server name (RFC 6066, 3).
    servername: familyOfIp(name) === undefined ? name : '',
    checkServerIdentity: (_host, cert) => {
      // A common name without alternatives counts for nothing (RFC 6125, as Go).
      const named = cert.subjectaltname === undefined ? { ...cert, subject: {} } : cert;
      return checkServerIdentity(name, named as typeof cert);
    },
  });
}
