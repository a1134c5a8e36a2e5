import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import { createServer, type AddressInfo, type Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import path from 'node:path';
import { TLSSocket, type SecureContextOptions } from 'node:tls';
import type { Clock } from '#base/clock.ts';
import { answerProfile } from '#base/profile/serve-profile.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { answerPlainHttp } from '#base/http/plain-http.ts';
import { pageForm, renderFlags, renderStatus, type PageForm, type PageKind } from '#api/config/z-pages.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { AppliedRules } from '#agent/proxy/retraction/applied-rules.ts';
import type { ReadNetworkFacts } from '#agent/network/facts/read-facts.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import type { Access, Refusal } from './access/access.ts';
import { isProblem, type HttpProblem } from './find-container.ts';
import { Health } from './health.ts';
import { serveFiles } from './serve-files.ts';
import { parseLogCall, serveLogs, type LogFollowers } from './serve-logs.ts';
import { refuseCheckpoint, serveRun } from './serve-run.ts';
import { renderCadvisorMetrics } from '#agent/kubelet/stats/cadvisor-metrics.ts';
import { renderResourceMetrics } from '#agent/kubelet/stats/resource-metrics.ts';
import type { StatsInput } from '#agent/kubelet/stats/stats-input.ts';
import { cpuAndMemoryOf, renderSummary } from '#agent/kubelet/stats/summary.ts';
import type { HttpCounts } from '#agent/kubelet/stats/http-counts.ts';
import { badTarget, targetOf } from './target.ts';
import { parseStreamCall } from './stream-call.ts';
import { refuse, serveUpgrade, tunnelProtocol } from './upgrade.ts';

export interface KubeletServerOptions {
  /** Addresses to listen at, one or more. */
  readonly hosts: readonly string[];
  /** 0: any, at the first address. */
  readonly port: number;
  readonly tls: KubeletTls;
  /** Who may call. */
  readonly access: Access;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directories: KubeletDirectories;
  readonly pods: () => readonly Pod[];
  readonly podByName: (namespace: string, name: string) => Pod | undefined;
  readonly readStats: () => Promise<StatsInput>;
  /** The body of /configz. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What /flagz tells, by the kubelet's names. */
  readonly flags: Readonly<Record<string, string>>;
  /** The text of /metrics. */
  readonly metrics: () => Promise<string> | string;
  /** The text of /metrics/probes. */
  readonly probeMetrics: () => string;
  /** What the node sees of its own network, and of some pods by uid (decision 0081). */
  readonly networkFacts?: ReadNetworkFacts | undefined;
  /** How far the node's Service rules are, for other nodes. */
  readonly applied?: AppliedRules | undefined;
  /** Told of what is asked of this port. */
  readonly requests: HttpCounts;
  /** Where several nodes have one port: those of the node that a request is for. Undefined: these. */
  readonly nodeOf?: (request: IncomingMessage) => KubeletServerOptions | undefined;
}

/** PEM. */
export interface KubeletTls {
  readonly key: string;
  readonly cert: string;
  /** Whose client certificates say who calls. */
  readonly clientCa: string;
}

export interface KubeletServer extends AsyncDisposable {
  readonly port: number;
  /** From the next handshake on; connections that are open go on. */
  setTls(tls: KubeletTls): void;
}

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
  const { tls, logger, clock } = options;
  const open = new Set<Duplex>();
  const followers: LogFollowers = new Set();
  const health = new Health();
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
  answerPlainHttp(server);
  server.on('request', (request, response) => {
    const end = options.requests.begin(request.method, firstOf(request), clock.monotonic());
    response.once('close', () => end(clock.monotonic()));
    const own = options.nodeOf?.(request) ?? options;
    serveRequest(request, response, { ...own, followers, health }).catch((error: unknown) => {
      logger.debug({ url: request.url, error: describeError(error) }, 'request ended early');
      response.destroy();
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const end = options.requests.begin(request.method, firstOf(request), clock.monotonic());
    socket.once('close', () => end(clock.monotonic()));
    if (socket instanceof TLSSocket) socket.setTimeout(streamIdleMs, () => socket.destroy());
    serveStream(request, { socket, head }, options.nodeOf?.(request) ?? options).catch((error: unknown) => {
      logger.debug({ url: request.url, error: describeError(error) }, 'stream ended early');
      socket.destroy();
    });
  });
  const [first, ...others] = options.hosts;
  server.listen(options.port, first);
  await once(server, 'listening');
  const port = portOf(server.address());
  const doors = await Promise.all(others.map((host) => openDoor(server, host, port)));
  return {
    port,
    setTls: (renewed) => server.setSecureContext(secureContext(renewed)),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await Promise.all([closed, ...doors.map(closeDoor)]);
    },
  };
}

/** Another address of the same server. */
async function openDoor(server: https.Server, host: string, port: number): Promise<NetServer> {
  const door = createServer((socket) => server.emit('connection', socket));
  door.maxConnections = connectionsMax;
  door.listen(port, host);
  await once(door, 'listening');
  return door;
}

async function closeDoor(door: NetServer): Promise<void> {
  const closed = once(door, 'close');
  door.close();
  await closed;
}

function secureContext({ key, cert, clientCa }: KubeletTls): SecureContextOptions {
  return { key, cert, ca: clientCa, minVersion: 'TLSv1.2' };
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Of a path, for counting. */
function firstOf({ url = '/' }: IncomingMessage): string {
  return url.split('?', 1)[0]?.split('/', 3).slice(1).join('/') ?? '';
}

async function serveStream(
  request: IncomingMessage,
  { socket, head }: { readonly socket: Duplex; readonly head: Buffer },
  options: KubeletServerOptions,
): Promise<void> {
  const target = targetOf(request);
  const refusal = await options.access(request, target?.segments ?? []);
  if (refusal !== undefined) {
    refuse(socket, refusal.status, reasons[refusal.status], refusal.message.trimEnd());
    return;
  }
  const call =
    (target === undefined ? badTarget : parseStreamCall(target.url, options, namesPorts(request))) ??
    ({ status: 404, message: '404 page not found' } as const);
  if (isProblem(call)) refuse(socket, call.status, reasons[call.status], call.message);
  else await serveUpgrade(call, { request, socket, head }, options);
}

/** A WebSocket that is no tunnel says in its query which ports it is for. */
function namesPorts({ headers }: IncomingMessage): boolean {
  const isTunnel = headers['sec-websocket-protocol']?.includes(tunnelProtocol) === true;
  return headers.upgrade?.toLowerCase() === 'websocket' && !isTunnel;
}

const reasons: Readonly<Record<HttpProblem['status'] | Refusal['status'], string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  422: 'Unprocessable Entity',
  500: 'Internal Server Error',
};

type Served = KubeletServerOptions & { readonly followers: LogFollowers; readonly health: Health };

async function serveRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: Served,
): Promise<void> {
  const target = targetOf(request);
  const refusal = await options.access(request, target?.segments ?? []);
  if (refusal !== undefined)
    return send(response, { status: refusal.status, type: plain, body: refusal.message });
  if (target === undefined) return sendText(response, badTarget.status, badTarget.message);
  const { url, segments } = target;
  const [first = '', ...rest] = segments;
  const methods = methodsOf[first] ?? [];
  if (methods.length > 0 && !methods.includes(request.method ?? '')) {
    response.setHeader('allow', methods.join(', '));
    return send(response, { status: 405, type: plain, body: '405: Method Not Allowed' });
  }
  const below = belowOf[first];
  if (below !== undefined) return below({ url, rest, response, options });
  if (first === 'debug') {
    const call = { clock: options.clock, signal: goneOf(response) };
    const answer = await answerProfile(url.pathname, url.searchParams, call);
    if (answer !== undefined) return send(response, answer);
  }
  const route = routes[`/${segments.join('/')}`];
  if (route !== undefined) return send(response, { status: 200, ...(await route(options, request)) });
  return sendText(response, 404, '404 page not found');
}

/** Of what is answered to no other (pkg/kubelet/server); the rest takes any. */
const methodsOf: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ['pods', 'runningpods', 'stats', 'containerLogs', 'logs', 'debug'].map((first) => [first, ['GET']]),
  ),
  ...Object.fromEntries(['exec', 'attach', 'portForward'].map((first) => [first, ['GET', 'POST']])),
  ...Object.fromEntries(['run', 'checkpoint'].map((first) => [first, ['POST']])),
};

interface BelowCall {
  readonly url: URL;
  readonly rest: readonly string[];
  readonly response: ServerResponse;
  readonly options: Served;
}

/** What is below a first segment. */
const belowOf: Readonly<Record<string, (call: BelowCall) => Promise<void> | void>> = {
  containerLogs: ({ url, rest, response, options }) => {
    const [namespace = '', pod = '', container = ''] = rest;
    const call = parseLogCall({ namespace, pod, uid: undefined, container }, url.searchParams, options);
    return isProblem(call)
      ? send(response, { status: call.status, type: plain, body: renderLogProblem(call) })
      : serveLogs(call, response, options);
  },
  logs: ({ rest, response, options }) => serveFiles(path.dirname(options.directories.logs), rest, response),
  healthz: ({ url, rest, response, options }) => {
    const answer = options.health.answer(rest, url.searchParams);
    if (isProblem(answer)) return sendText(response, answer.status, answer.message);
    response.setHeader('x-content-type-options', 'nosniff');
    return send(response, { type: plain, ...answer });
  },
  run: async ({ url, rest, response, options }) => {
    const answer = await serveRun(rest, url.searchParams, { ports: options, signal: goneOf(response) });
    if (!Buffer.isBuffer(answer)) return sendText(response, answer.status, answer.message);
    return send(response, { status: 200, type: 'application/json', body: answer });
  },
  checkpoint: ({ rest, response, options }) => {
    const { status, message } = refuseCheckpoint(rest, options);
    return sendText(response, status, message);
  },
  exec: refusePlain,
  attach: refusePlain,
  portForward: refusePlain,
};

/** A stream that asks for no upgrade. */
function refusePlain({ url, response, options }: BelowCall): void {
  const call = parseStreamCall(url, options);
  if (call !== undefined && isProblem(call)) sendText(response, call.status, call.message);
  else sendText(response, 500, 'Upgrade request required');
}

function goneOf(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new DOMException('client gone', 'AbortError')));
  return gone.signal;
}

interface Answer {
  readonly status?: number;
  readonly type: string;
  readonly body: string | Uint8Array;
}

type Route = (options: Served, request: IncomingMessage) => Answer | Promise<Answer>;

const json = (value: unknown): Answer => ({ type: 'application/json', body: JSON.stringify(value) });
const plain = 'text/plain; charset=utf-8';
const prometheus = 'text/plain; version=0.0.4; charset=utf-8';

const routes: Readonly<Record<string, Route>> = {
  '/pods': ({ pods }) => json(podList(pods())),
  '/runningpods': ({ pods, runtime }) =>
    json(
      podList(
        pods()
          .filter((pod) => runtime.observe(pod.metadata?.uid ?? '')?.sandbox?.state === 'ready')
          .map((pod) => runningPod(pod, runtime)),
      ),
    ),
  '/configz': ({ config }) => json({ kubeletconfig: config }),
  '/stats/summary': async ({ readStats }, { url = '' }) => {
    const only = new URLSearchParams(url.split('?', 2)[1]).getAll('only_cpu_and_memory');
    const summary = renderSummary(await readStats());
    return json(only.length === 1 && only[0] === 'true' ? cpuAndMemoryOf(summary) : summary);
  },
  '/metrics/resource': async ({ readStats }) => ({
    type: prometheus,
    body: renderResourceMetrics(await readStats()),
  }),
  '/metrics/cadvisor': async ({ readStats }) => ({
    type: prometheus,
    body: renderCadvisorMetrics(await readStats()),
  }),
  '/metrics/probes': ({ probeMetrics }) => ({ type: prometheus, body: probeMetrics() }),
  '/metrics/slis': ({ health }) => ({ type: prometheus, body: health.renderSlis() }),
  '/metrics': async ({ metrics }) => ({ type: prometheus, body: await metrics() }),
  '/endpointslices/applied': answerApplied,
  '/networkfacts': answerNetworkFacts,
  '/statusz': ({ clock }, { headers }) =>
    page('Statusz', headers.accept, (form) =>
      renderStatus({ component, nowMs: clock.now(), upSeconds: process.uptime(), paths: paths() }, form),
    ),
  '/flagz': ({ flags }, { headers }) =>
    page('Flagz', headers.accept, (form) => renderFlags(component, flags, form)),
};

const component = 'kubelet';
/** How long an answer is held back that is not there yet. */
const heldMsMax = 5_000;

/** Pods that one answer is about. */
const factPodsMax = 32;

/** `?pod=UID`, for each pod that is looked at. */
async function answerNetworkFacts(
  { networkFacts }: KubeletServerOptions,
  { url = '' }: IncomingMessage,
): Promise<Answer> {
  const uids = new URLSearchParams(url.split('?', 2)[1]).getAll('pod');
  if (networkFacts === undefined) return { status: 404, type: plain, body: '404 page not found\n' };
  if (uids.length > factPodsMax)
    return { status: 400, type: plain, body: `pod may be said ${factPodsMax} times at most\n` };
  return json(await networkFacts(uids));
}

/** `?revision=N&waitMs=M`: the revision of EndpointSlices that the rules are of, when it is N, or after M milliseconds. */
async function answerApplied(
  { applied }: KubeletServerOptions,
  { url = '' }: IncomingMessage,
): Promise<Answer> {
  const query = new URLSearchParams(url.split('?', 2)[1]);
  const [revision, waitMs] = [Number(query.get('revision') ?? NaN), Number(query.get('waitMs') ?? NaN)];
  if (applied === undefined) return { status: 404, type: plain, body: '404 page not found\n' };
  if (!Number.isSafeInteger(revision) || !(waitMs >= 0 && waitMs <= heldMsMax))
    return { status: 400, type: plain, body: `revision takes a revision, waitMs 0 to ${heldMsMax}\n` };
  return json({ applied: await applied.reach(revision, waitMs) });
}

/** As text, or as the object that Accept asks for. */
function page(kind: PageKind, accept: string | undefined, render: (form: PageForm) => string): Answer {
  const form = pageForm(accept, kind);
  if (form === undefined) return { status: 406, type: plain, body: 'media type not acceptable\n' };
  return { type: form === 'text' ? plain : 'application/json', body: render(form) };
}

/** All that there are, but for what is below the first segment. */
function paths(): readonly string[] {
  return [...Object.keys(routes), ...[...Object.keys(belowOf), 'debug'].map((one) => `/${one}`)];
}

/** What the runtime knows of a pod (ToAPIPod of pkg/kubelet/container). */
function runningPod({ metadata = {} }: Pod, runtime: Runtime): Pod {
  const { name, namespace, uid = '' } = metadata;
  const containers = (runtime.observe(uid)?.containers ?? []).map((each) => ({
    name: each.name,
    image: each.image,
    resources: {},
  }));
  return { metadata: { ...{ name, namespace, uid } }, spec: { containers }, status: {} };
}

function podList(items: readonly Pod[]): unknown {
  return { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: items.length === 0 ? null : items };
}

/** What becomes the message of the API server's answer: as the kubelet's getContainerLogs has it, with a line's end only of what is not there. */
function renderLogProblem({ status, message }: HttpProblem): string {
  return status === 404 ? `${message}\n` : message;
}

function sendText(response: ServerResponse, status: number, message: string): void {
  send(response, { status, type: plain, body: `${message}\n` });
}

function send(response: ServerResponse, answer: Answer & { readonly status: number }): void {
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
  });
  response.setTimeout(answerStallMs, () => response.destroy());
  response.end(answer.body);
}
