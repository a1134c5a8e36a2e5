import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { finished } from 'node:stream/promises';
import { describeError, PodwrightError } from '#base/errors.ts';
import { http } from '#base/http/http.ts';
import type { Clock } from '#base/clock.ts';
import type {
  Container,
  EphemeralContainer,
  HTTPGetAction,
  LifecycleHandler,
  Pod,
  Probe,
} from '#api/generated/objects.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';

/** What a probe or hook is run against. */
export interface HandlerTarget {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly containerId: string;
  readonly podIp: string;
  /** That of the probe or of the hook, at whose end the signal aborts. */
  readonly timeoutSeconds?: number | undefined;
}

export interface HandlerPorts {
  readonly runtime: Pick<Runtime, 'exec'>;
  readonly clock: Clock;
  /** Undefined: by the network. */
  readonly reach?: Reach;
}

/** Who answers what is asked over the network. */
export type Reach = (
  action: Pick<Probe, 'httpGet' | 'tcpSocket' | 'grpc'>,
  target: HandlerTarget,
  signal: AbortSignal,
) => Promise<HandlerResult>;

/** How an action ended, in words for an event. */
export interface HandlerResult {
  readonly isSuccess: boolean;
  readonly output: string;
  /** It passes, and is told of all the same. */
  readonly isWarning?: true;
  /** Nobody could ask, or the answer broke off: says nothing of the container. In the word of the kubelet's event. */
  readonly errored?: 'unknown' | 'failure';
}

const outputMax = 10_240; // The kubelet keeps no more of a probe's output.

/** Status line and headers of an answer. */
const headerBytesMax = 1024 * 1024;

/** As Go's HTTP client, by which the kubelet asks: these are followed, in ten requests at most. */
const followedStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const requestsMax = 10;

/** How long output is waited for after the exit of what wrote it. */
const outputGraceMs = 100;

/** Runs a lifecycle hook to its end. @throws the signal's reason */
export async function runHook(
  handler: LifecycleHandler,
  target: HandlerTarget,
  ports: HandlerPorts,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const { exec, httpGet, sleep, tcpSocket } = handler;
  if (exec !== undefined) return runExec(exec.command ?? [], target, ports, signal);
  if (ports.reach !== undefined && (httpGet ?? tcpSocket) !== undefined)
    return ports.reach({ httpGet, tcpSocket }, target, signal);
  if (httpGet !== undefined) return runHttpGet(httpGet, target, { userAgent: 'kube-lifecycle/1.36' }, signal);
  if (tcpSocket !== undefined) return runTcp(tcpSocket, target, signal);
  await ports.clock.sleep((sleep?.seconds ?? 0) * 1000, signal);
  return { isSuccess: true, output: '' };
}

export async function runExec(
  args: readonly string[],
  { pod, containerId, timeoutSeconds }: HandlerTarget,
  { runtime, clock }: HandlerPorts,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const uid = pod.metadata?.uid ?? '';
  const request = { args, stdin: false, tty: false, isCollected: true, timeoutSeconds };
  const session = await runtime.exec(uid, containerId, request, signal);
  await using streams = session.streams;

  const chunks: Buffer[] = [];
  let size = 0;
  const keep = (chunk: Buffer): void => {
    if (size < outputMax) chunks.push(chunk.subarray(0, outputMax - size));
    size += chunk.length;
  };
  streams.stdout.on('data', keep);
  streams.stderr?.on('data', keep);
  const outputs = streams.stderr === undefined ? [streams.stdout] : [streams.stdout, streams.stderr];
  const ended = Promise.allSettled(outputs.map((output) => finished(output)));
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    session.kill().catch(() => undefined); // It ended by itself meanwhile; its container's end kills it otherwise.
    aborted.reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const exitCode = await Promise.race([session.exitCode, aborted.promise]);
    // The last of the output may come after the exit; a child in the background may hold the pipe open for ever.
    await Promise.race([ended, clock.sleep(outputGraceMs, signal)]);
    const output = Buffer.concat(chunks).toString('utf8');
    return {
      isSuccess: exitCode === 0,
      output: exitCode === 0 || output !== '' ? output : `command exited with ${exitCode}`,
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** A port by number, or by the name of one of the container's ports. @throws {E_INVALID} */
export function resolvePort(port: number | string, container: Container | EphemeralContainer): number {
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  const number = typeof port === 'number' ? port : (named ?? Number(port));
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new PodwrightError('E_INVALID', `couldn't find port: ${port} in container ${container.name}`);
}

/** GET from the node; 200 to 399 is success, redirects to the same host are followed, certificates are not checked. */
export async function runHttpGet(
  action: HTTPGetAction,
  target: HandlerTarget,
  probe: ProbeOptions,
  signal: AbortSignal,
): Promise<HandlerResult> {
  let options = probe;
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const host = action.host === undefined || action.host === '' ? target.podIp : action.host;
  const port = resolvePort(action.port, target.container);
  const path = action.path ?? '/';
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  let url = new URL(`${scheme}://${authority}${path.startsWith('/') ? path : `/${path}`}`);
  for (let requests = 1; ; requests++) {
    const answer = await getOnce(url, headersOf(action, url, options), signal);
    const { location } = answer;
    if (!followedStatuses.has(answer.status) || location === undefined) return verdict(answer);
    const next = new URL(location, url);
    // Elsewhere it is not this container's health any more; Kubernetes warns and passes.
    if (next.hostname !== url.hostname) return verdict(answer);
    if (requests >= requestsMax)
      return { isSuccess: false, output: `Get "${next.href}": stopped after ${requestsMax} redirects` };
    // A Host of the action's stays where the redirect names no host (net/http).
    if (URL.canParse(location) || location.startsWith('//')) options = { ...options, isElsewhere: true };
    url = next;
  }
}

function verdict({ status, body }: { readonly status: number; readonly body: string }): HandlerResult {
  if (status >= 300 && status < 400)
    return { isSuccess: true, isWarning: true, output: `Probe terminated redirects, Response body: ${body}` };
  if (status >= 200 && status < 300) return { isSuccess: true, output: body };
  return { isSuccess: false, output: `HTTP probe failed with statuscode: ${status}` };
}

interface ProbeOptions {
  readonly userAgent: string;
  /** The request is a redirect's, to a host that it names: no longer of the action's Host. */
  readonly isElsewhere?: boolean;
}

/** Go's client writes these itself, whatever the action says of them. */
const unsentHeaders: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'trailer',
]);

/**
 * The lines of the request, name after value: each header of the action as often as it has it; its Host, User-Agent and Accept instead of
 * ours, and none of the last two where it has them empty (newProbeRequest of the kubelet, and net/http).
 */
export function headersOf(
  { httpHeaders = [] }: HTTPGetAction,
  url: URL,
  { userAgent, isElsewhere = false }: ProbeOptions,
): readonly string[] {
  const given = httpHeaders.map(({ name, value }) => ({ name, value, key: name.toLowerCase() }));
  const first = (key: string): string | undefined => given.find((header) => header.key === key)?.value;
  const own = [
    ['Host', (isElsewhere ? '' : first('host')) || url.host],
    ['User-Agent', first('user-agent') ?? userAgent],
    ['Accept', first('accept') === undefined ? '*/*' : ''],
    ['Connection', first('connection') === undefined ? 'close' : ''],
  ].filter(([, value]) => value !== '');
  const sent = given.filter(
    ({ key, value }) =>
      !unsentHeaders.has(key) &&
      key !== 'user-agent' &&
      !(key === 'accept' && first('accept') === '' && value === ''),
  );
  // Values are bytes: Node writes one a character.
  return [...own, ...sent.map(({ name, value }) => [name, Buffer.from(value).toString('latin1')])].flat();
}

interface HttpAnswer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/**
 * Resolves with the answer's beginning, and closes: whether it ever ends is not asked.
 * @throws E_CONNECTION where it breaks off behind its head
 */
function getOnce(url: URL, headers: readonly string[], signal: AbortSignal): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const options = {
    headers,
    signal,
    agent: false as const,
    rejectUnauthorized: false,
    maxHeaderSize: headerBytesMax,
    // Lines may end without CR, as scripts of busybox's httpd write them: Go reads them, too.
    insecureHTTPParser: true,
  };
  let hasHead = false;
  const fail = (error: Error): void =>
    reject(
      hasHead
        ? new PodwrightError('E_CONNECTION', `read the body: ${describeError(error)}`, { cause: error })
        : error,
    );
  const onResponse = (response: IncomingMessage): void => {
    hasHead = true;
    let body = '';
    const end = (): void => {
      resolve({ status: response.statusCode ?? 0, location: response.headers.location, body });
      request.destroy();
    };
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      body += chunk.slice(0, outputMax - body.length);
      if (body.length >= outputMax) end();
    });
    response.on('error', fail);
    response.on('end', end);
  };
  const request =
    url.protocol === 'https:'
      ? https.request(url, options, onResponse)
      : http.request(url, options, onResponse);
  request.on('error', fail);
  request.end();
  return promise;
}

/** Success is a connection. */
export async function runTcp(
  action: { readonly host?: string | undefined; readonly port: number | string },
  target: HandlerTarget,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const host = action.host === undefined || action.host === '' ? target.podIp : action.host;
  const { promise, resolve, reject } = Promise.withResolvers<HandlerResult>();
  const socket = net.connect({ host, port: resolvePort(action.port, target.container), signal });
  socket.once('connect', () => {
    socket.destroy();
    resolve({ isSuccess: true, output: '' });
  });
  socket.once('error', (error) => {
    if (signal.aborted) reject(signal.reason);
    else resolve({ isSuccess: false, output: error.message });
  });
  return promise;
}
