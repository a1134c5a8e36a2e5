import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import path from 'node:path';
import { TLSSocket, type SecureContextOptions } from 'node:tls';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { isProblem, type HttpProblem } from './find-container.ts';
import { serveFiles } from './serve-files.ts';
import { parseLogCall, serveLogs, type LogFollowers } from './serve-logs.ts';
import { renderCadvisorMetrics } from '#agent/kubelet/stats/cadvisor-metrics.ts';
import { renderResourceMetrics } from '#agent/kubelet/stats/resource-metrics.ts';
import type { StatsInput } from '#agent/kubelet/stats/stats-input.ts';
import { renderSummary } from '#agent/kubelet/stats/summary.ts';
import { parseStreamCall } from './stream-call.ts';
import { refuse, serveUpgrade } from './upgrade.ts';

export interface KubeletServerOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  readonly tls: KubeletTls;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  readonly pods: () => readonly Pod[];
  readonly podByName: (namespace: string, name: string) => Pod | undefined;
  readonly readStats: () => Promise<StatsInput>;
  /** The body of /configz. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The text of /metrics. */
  readonly metrics: () => Promise<string> | string;
  /** The text of /metrics/probes. */
  readonly probeMetrics: () => string;
}

/** PEM. */
export interface KubeletTls {
  readonly key: string;
  readonly cert: string;
  /** Who may call: clients of this authority in group system:masters. */
  readonly clientCa: string;
}

export interface KubeletServer extends AsyncDisposable {
  readonly port: number;
  /** From the next handshake on; connections that are open go on. */
  setTls(tls: KubeletTls): void;
}

/** The group of administrators, of which the API server's client certificate is one (kubeadm's PKI). */
const allowedGroup = 'system:masters';

/** Request line and headers together: what the API server takes, it passes on. */
const headerBytesMax = 1_048_576;
/** Connections at once, of the API server, its streams, and who asks for metrics. */
const connectionsMax = 2000;
const handshakeMs = 10_000;
const headersMs = 32_000;
const requestMs = 300_000;
/** A kept connection without a request, announced by `Keep-Alive: timeout=90`. */
const connectionIdleMs = 90_000;
/** A client that takes nothing of a whole answer is cut off after this long. */
const answerStallMs = 30_000;
/** A stream on which nothing is said (the kubelet's streamingConnectionIdleTimeout). */
const streamIdleMs = 4 * 60 * 60 * 1000;

/** The node's HTTPS server: logs, exec, attach, port-forward, pods, stats. */
export async function startKubeletServer(options: KubeletServerOptions): Promise<KubeletServer> {
  const { tls, logger } = options;
  const open = new Set<Duplex>();
  const followers: LogFollowers = new Set();
  const server = https.createServer({
    ...secureContext(tls),
    requestCert: true,
    rejectUnauthorized: false, // Answered with 401, which says more than a broken handshake.
    maxHeaderSize: headerBytesMax,
    handshakeTimeout: handshakeMs,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: connectionIdleMs,
    connectionsCheckingInterval: 5_000,
  });
  server.maxConnections = connectionsMax;
  server.on('connection', (socket: Duplex) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('request', (request, response) => {
    serveRequest(request, response, { ...options, followers }).catch((error: unknown) => {
      logger.debug({ url: request.url, error: describeError(error) }, 'request ended early');
      response.destroy();
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (socket instanceof TLSSocket) socket.setTimeout(streamIdleMs, () => socket.destroy());
    serveStream(request, { socket, head }, options).catch((error: unknown) => {
      logger.debug({ url: request.url, error: describeError(error) }, 'stream ended early');
      socket.destroy();
    });
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return {
    port: portOf(server.address()),
    setTls: (renewed) => server.setSecureContext(secureContext(renewed)),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

function secureContext({ key, cert, clientCa }: KubeletTls): SecureContextOptions {
  return { key, cert, ca: clientCa, minVersion: 'TLSv1.2' };
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Why the client may not call; undefined when it may. */
function refusalOf(request: IncomingMessage): HttpProblem | 'unauthorized' | undefined {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return 'unauthorized';
  const { subject } = socket.getPeerCertificate();
  const groups = [subject.O].flat();
  if (groups.includes(allowedGroup)) return undefined;
  const user = String(subject.CN);
  return {
    status: 403,
    message: `Forbidden (user=${user}, verb=${verbOf(request)}, resource=nodes, subresource(s)=[proxy])`,
  };
}

function tellRefusal(
  request: IncomingMessage,
  refusal: HttpProblem | 'unauthorized',
  { logger }: KubeletServerOptions,
): void {
  const from = request.socket.remoteAddress;
  const error = refusal === 'unauthorized' ? 'no client certificate of this cluster' : refusal.message;
  const path = request.url?.split('/', 2).join('/').split('?', 1)[0]; // Of /exec/… no more: its command may hold secrets.
  logger.warn({ from, path, error }, 'request to this node refused');
}

function verbOf({ method = 'GET' }: IncomingMessage): string {
  const verbs: Readonly<Record<string, string>> = {
    POST: 'create',
    PUT: 'update',
    PATCH: 'patch',
    DELETE: 'delete',
  };
  return verbs[method] ?? 'get';
}

/** Undefined where the target is none (`//`), or its escapes are no text (`%zz`). */
function urlOf({ url: target = '/' }: IncomingMessage): URL | undefined {
  if (!URL.canParse(target, 'https://node')) return undefined;
  const url = new URL(target, 'https://node');
  try {
    decodeURIComponent(url.pathname);
    return url;
  } catch {
    return undefined;
  }
}

const badTarget: HttpProblem = { status: 400, message: 'the path of the request is malformed' };

async function serveStream(
  request: IncomingMessage,
  { socket, head }: { readonly socket: Duplex; readonly head: Buffer },
  options: KubeletServerOptions,
): Promise<void> {
  const refusal = refusalOf(request);
  if (refusal !== undefined) tellRefusal(request, refusal, options);
  if (refusal === 'unauthorized') {
    refuse(socket, 401, 'Unauthorized', 'Unauthorized');
    return;
  }
  const url = urlOf(request);
  const call =
    refusal ??
    (url === undefined ? badTarget : parseStreamCall(url, options)) ??
    ({ status: 404, message: '404 page not found' } as const);
  if (isProblem(call)) refuse(socket, call.status, reasons[call.status], call.message);
  else await serveUpgrade(call, { request, socket, head }, options);
}

const reasons: Readonly<Record<HttpProblem['status'], string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  500: 'Internal Server Error',
};

async function serveRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: KubeletServerOptions & { readonly followers: LogFollowers },
): Promise<void> {
  const refusal = refusalOf(request);
  if (refusal !== undefined) tellRefusal(request, refusal, options);
  if (refusal === 'unauthorized') return sendText(response, 401, 'Unauthorized');
  if (refusal !== undefined) return sendText(response, refusal.status, refusal.message);
  const url = urlOf(request);
  if (url === undefined) return sendText(response, badTarget.status, badTarget.message);
  const [first = '', ...rest] = url.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  if (first === 'containerLogs') {
    const [namespace = '', pod = '', container = ''] = rest;
    const call = parseLogCall({ namespace, pod, uid: undefined, container }, url.searchParams, options);
    return isProblem(call)
      ? sendText(response, call.status, call.message)
      : serveLogs(call, response, options);
  }
  if (first === 'logs') return serveFiles(path.dirname(options.directories.logs), rest, response);
  const route = routes[`/${[first, ...rest].join('/')}`];
  if (route !== undefined) {
    const { type, body } = await route(options);
    return send(response, { status: 200, type, body });
  }
  if (['exec', 'attach', 'portForward'].includes(first)) {
    const call = parseStreamCall(url, options);
    if (call !== undefined && isProblem(call)) return sendText(response, call.status, call.message);
    return sendText(response, 400, 'unable to upgrade: missing upgrade headers in request');
  }
  return sendText(response, 404, '404 page not found');
}

interface Answer {
  readonly type: string;
  readonly body: string;
}

const json = (value: unknown): Answer => ({ type: 'application/json', body: JSON.stringify(value) });
const ok = (): Answer => ({ type: 'text/plain; charset=utf-8', body: 'ok' });
const prometheus = 'text/plain; version=0.0.4; charset=utf-8';

const routes: Readonly<Record<string, (options: KubeletServerOptions) => Answer | Promise<Answer>>> = {
  '/healthz': ok,
  '/healthz/ping': ok,
  '/healthz/log': ok,
  '/healthz/syncloop': ok,
  '/pods': ({ pods }) => json(podList(pods())),
  '/runningpods': ({ pods, runtime }) =>
    json(
      podList(pods().filter((pod) => runtime.observe(pod.metadata?.uid ?? '')?.sandbox?.state === 'ready')),
    ),
  '/configz': ({ config }) => json({ kubeletconfig: config }),
  '/stats/summary': async ({ readStats }) => json(renderSummary(await readStats())),
  '/metrics/resource': async ({ readStats }) => ({
    type: prometheus,
    body: renderResourceMetrics(await readStats()),
  }),
  '/metrics/cadvisor': async ({ readStats }) => ({
    type: prometheus,
    body: renderCadvisorMetrics(await readStats()),
  }),
  '/metrics/probes': ({ probeMetrics }) => ({ type: prometheus, body: probeMetrics() }),
  '/metrics': async ({ metrics }) => ({ type: prometheus, body: await metrics() }),
};

function podList(items: readonly Pod[]): unknown {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: items.length === 0 ? null : items };
}

function sendText(response: ServerResponse, status: number, message: string): void {
  send(response, { status, type: 'text/plain; charset=utf-8', body: `${message}\n` });
}

function send(response: ServerResponse, answer: Answer & { readonly status: number }): void {
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
  });
  response.setTimeout(answerStallMs, () => response.destroy());
  response.end(answer.body);
}
