import { createHash } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { checkServerIdentity, connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { timeoutSignal } from '#base/clock.ts';
import { describeFailure } from '#control-plane/apiserver/chain/admission/webhooks/http-failure.ts';
import {
  checkHost,
  guardedLookup,
  isDialable,
  type MayDial,
} from '#control-plane/apiserver/nodes/dialable.ts';
import type { Registry } from '#control-plane/apiserver/objects/registry.ts';
import type { KeyPair } from '#control-plane/apiserver/pki/certificate.ts';
import { findServiceEndpoint } from '#control-plane/apiserver/services/service-endpoint.ts';
import type { RemoteService } from './remote-service.ts';

/** Where one of a remote server's endpoints is. */
export interface RemoteEndpoint {
  readonly host: string;
  readonly port: number;
}

export interface RemoteRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Uint8Array | Readable;
  readonly signal: AbortSignal;
}

/** Connections to servers that answer group versions, as the front proxy. */
export interface RemoteConnections extends Disposable {
  /** One of its endpoints. @throws {E_CONNECTION} where there is none now */
  find(remote: RemoteService): Promise<RemoteEndpoint>;
  /** The head of an answer. @throws {E_CONNECTION} when nobody answers */
  request(remote: RemoteService, endpoint: RemoteEndpoint, request: RemoteRequest): Promise<IncomingMessage>;
  /** A connected socket, owned by the caller. @throws {E_CONNECTION} */
  connect(remote: RemoteService, endpoint: RemoteEndpoint): Promise<TLSSocket>;
}

export interface RemoteConnectionOptions {
  readonly registry: Registry;
  /** What the front proxy shows, as it is now. */
  readonly client: () => KeyPair;
  readonly mayDial?: MayDial | undefined;
}

const socketsMax = 256;
const agentsMax = 128;
const connectTimeoutMs = 10_000;
const staleErrors: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE']);

export function createRemoteConnections(options: RemoteConnectionOptions): RemoteConnections {
  const { registry, client, mayDial = isDialable } = options;
  const lookup = guardedLookup(mayDial);
  const agents = new Map<string, Agent>();
  const tlsOf = (remote: RemoteService): ConnectionOptions => {
    const { certPem: cert, keyPem: key } = client();
    const name = serverNameOf(remote);
    return {
      ...{ cert, key, servername: name, rejectUnauthorized: !remote.isUnverified },
      ...(remote.caPem === '' ? {} : { ca: remote.caPem }),
      checkServerIdentity: (_host, shown) =>
        remote.isUnverified ? undefined : checkServerIdentity(name, shown),
    };
  };
  const agentOf = (remote: RemoteService): Agent => {
    const { name, caPem, isUnverified, service } = remote;
    const secret = `${caPem} ${client().certPem} ${service.namespace}/${service.name}`;
    const key = `${name} ${isUnverified} ${createHash('sha256').update(secret).digest('base64')}`;
    const agent = agents.get(key) ?? new Agent({ keepAlive: true, maxSockets: socketsMax, ...tlsOf(remote) });
    agents.delete(key);
    agents.set(key, agent);
    const [oldest] = agents;
    if (agents.size > agentsMax && oldest !== undefined) {
      oldest[1].destroy();
      agents.delete(oldest[0]);
    }
    return agent;
  };
  return {
    find: async ({ service }) => {
      const found = await findServiceEndpoint(registry, service);
      if (found.host === undefined) throw new PodwrightError('E_CONNECTION', found.reason);
      checkHost(found.host, mayDial);
      return found;
    },
    request: async (remote, endpoint, request) => {
      const ask = (agent: Agent): Promise<IncomingMessage> =>
        send(remote, { endpoint, agent, lookup }, request);
      const isWhole = request.body === undefined || request.body instanceof Uint8Array;
      try {
        return await ask(agentOf(remote));
      } catch (error) {
        const isAgain = error instanceof PodwrightError && error.detail['isStale'] === true && isWhole;
        if (!isAgain) throw error;
        return ask(new Agent(tlsOf(remote)));
      }
    },
    connect: async (remote, { host, port }) => {
      const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
      const socket = tlsConnect({ host, port, lookup, ...tlsOf(remote) });
      socket.setTimeout(connectTimeoutMs, () => socket.destroy(new Error('connect timeout')));
      socket.once('secureConnect', () => {
        socket.setTimeout(0);
        resolve(socket);
      });
      socket.on('error', (error) => reject(unreached(error, remote, { host, port })));
      return promise;
    },
    [Symbol.dispose]: () => {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

/** For which name its certificate is. */
export function serverNameOf({ service }: RemoteService): string {
  return `${service.name}.${service.namespace}.svc`;
}

function unreached(
  error: Error,
  remote: RemoteService,
  { host, port }: RemoteEndpoint,
  isStale = false,
): PodwrightError {
  const text = describeFailure(error, { address: `${host}:${port}`, host: serverNameOf(remote) });
  return new PodwrightError('E_CONNECTION', text, { cause: error, detail: { isStale } });
}

function send(
  remote: RemoteService,
  {
    endpoint,
    agent,
    lookup,
  }: {
    readonly endpoint: RemoteEndpoint;
    readonly agent: Agent;
    readonly lookup: ReturnType<typeof guardedLookup>;
  },
  { method, path, headers, body, signal }: RemoteRequest,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { host, port } = endpoint;
  const sent = httpsRequest({
    ...{
      host,
      port,
      method,
      path,
      agent,
      lookup,
      signal,
      headers: { host: `${serverNameOf(remote)}`, ...headers },
    },
  });
  const connecting = timeoutSignal(connectTimeoutMs);
  const onTimeout = (): void => {
    if (sent.socket === null || sent.socket.connecting) sent.destroy(new Error('connect timeout'));
  };
  connecting.addEventListener('abort', onTimeout, { once: true });
  sent.once('response', (answer) => {
    connecting.removeEventListener('abort', onTimeout);
    resolve(answer);
  });
  sent.on('error', (error) => {
    const isSafe = method === 'GET' || method === 'HEAD';
    const isStale = sent.reusedSocket && isSafe && staleErrors.has(errnoOf(error));
    reject(unreached(error, remote, endpoint, isStale));
  });
  if (body === undefined || body instanceof Uint8Array) sent.end(body);
  else body.pipe(sent);
  return promise;
}
