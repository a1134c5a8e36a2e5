import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { STATUS_CODES } from 'node:http';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { badRequest, tooManyRequests } from '#api/status.ts';
import { authenticate } from '#control-plane/apiserver/auth/authenticate.ts';
import { admitUser, takePlace } from '#control-plane/apiserver/chain/handle.ts';
import { observeRequest } from '#control-plane/apiserver/metrics.ts';
import type { Upgrade } from '#control-plane/apiserver/http-server.ts';
import type { ApiRequest } from '#control-plane/apiserver/request.ts';
import { errorResponse } from '#control-plane/apiserver/respond.ts';
import { parseRoute, type ResourceRoute } from '#control-plane/apiserver/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { openLog } from './connect.ts';
import { chooseLogProtocol, sendLog } from './log-socket.ts';
import { findTarget, type Target } from './target.ts';

/** Headers that the node must not see: who the client is, is settled here. */
const withheld = /^(host|authorization|impersonate-.*|content-length|transfer-encoding)$/i;

/**
 * exec, attach, port-forward and proxied upgrades. Once the request is found in order, the connection belongs to the node: the
 * client's handshake and everything after it pass through as they are, whatever protocol they speak.
 *
 * ```
 * client ── GET …/exec, Upgrade: websocket | SPDY/3.1 ──▶ server ── the same, on the kubelet's path ──▶ kubelet
 * client ◀───────────────────────── 101, then raw bytes both ways ──────────────────────────────────── kubelet
 * ```
 * A log is the exception: it comes as a plain answer and is put into messages here.
 */
export async function handleUpgrade(
  context: ServerContext,
  request: ApiRequest,
  upgrade: Upgrade,
): Promise<void> {
  const { socket } = upgrade;
  const startMs = context.clock.monotonic();
  const tell = (code: number): void => {
    const seconds = (context.clock.monotonic() - startMs) / 1000;
    observeRequest(context, { verb: 'connect', resource: resourceOf(context, request), code, seconds });
  };
  let target: Target;
  let node: Duplex;
  try {
    using _place = takePlace(context);

    const route = await authorizeUpgrade(context, request);
    target = await targetOf(context, route, request);
    if (route.subresource?.name === 'log') {
      tell(101);
      return await serveLog(context, target, { request, upgrade });
    }
    checkRoom(context);
    node = await context.nodes.connect(target.endpoint);
    tell(101);
  } catch (error) {
    tell(refuse(socket, error));
    return;
  }
  node.write(renderHead(request, target, upgrade.message.rawHeaders));
  if (upgrade.head.byteLength > 0) node.write(upgrade.head);
  join(context, socket, node);
}

/** The node knows logs only as plain answers: the WebSocket ends here. */
async function serveLog(
  context: ServerContext,
  target: Target,
  { request, upgrade }: { readonly request: ApiRequest; readonly upgrade: Upgrade },
): Promise<void> {
  if (request.headers['upgrade']?.toLowerCase() !== 'websocket') {
    throw badRequest('a log is upgraded to a WebSocket only');
  }
  const protocol = chooseLogProtocol(request.headers['sec-websocket-protocol']);
  const log = await openLog(context, target, request.signal);
  try {
    await sendLog(log, upgrade, protocol);
  } catch (error) {
    context.logger.debug({ path: request.path, error: describeError(error) }, 'log ended early');
    upgrade.socket.destroy();
  }
}

const lingerMs = 10_000;

/** Streams to nodes that are open at once; each is two connections. */
export const joinedMax = 2000;
/** Streams on which nothing is said end after as long as the kubelet's (streamingConnectionIdleTimeout). */
const joinedIdleMs = 4 * 60 * 60 * 1000;
/** How long a refused client may take to read why. */
const refusalMs = 10_000;
const joinedOf = new WeakMap<JoinContext, number>();

type JoinContext = Pick<ServerContext, 'clock' | 'closing'>;

/** @throws {E_API} 429 */
export function checkRoom(context: JoinContext): void {
  if ((joinedOf.get(context) ?? 0) < joinedMax) return;
  throw tooManyRequests(`Too many streams to nodes are open (${joinedMax}), please try again later.`, 10);
}

/** `pods`, from the path: that of a request that was refused may be no resource's. */
function resourceOf({ kinds }: ServerContext, request: ApiRequest): string {
  try {
    const route = parseRoute(kinds, request);
    return route.kind === 'resource' ? route.route.kind.resource : '';
  } catch (error) {
    if (isPodwrightError(error, 'E_API')) return '';
    throw error;
  }
}

/** Each direction ends by itself: a client that has sent its stdin still reads the output. */
export function join(context: JoinContext, client: Duplex, node: Duplex): void {
  if (client.destroyed) {
    node.destroy(); // Its end has been told of, and will not be again.
    return;
  }
  joinedOf.set(context, (joinedOf.get(context) ?? 0) + 1);
  client.once('close', () => joinedOf.set(context, (joinedOf.get(context) ?? 1) - 1));
  if (client instanceof Socket) client.setTimeout(joinedIdleMs, () => client.destroy());
  const abort = (): void => {
    client.destroy();
    node.destroy();
  };
  client.pipe(node);
  node.pipe(client);
  client.once('error', abort);
  node.once('error', abort);
  client.once('close', () => {
    context.closing.removeEventListener('abort', abort);
    node.destroy();
  });
  node.once('close', () => {
    client.end(); // What the node said last is still on its way.
    context.clock.after(lingerMs, abort);
  });
  context.closing.addEventListener('abort', abort, { once: true });
}

async function authorizeUpgrade(context: ServerContext, request: ApiRequest): Promise<ResourceRoute> {
  const user = await authenticate(context, request);
  const route = parseRoute(context.kinds, request);
  admitUser(request, route, user);
  if (route.kind !== 'resource' || route.route.subresource === undefined) {
    throw badRequest(upgradable);
  }
  return route.route;
}

const upgradable = 'an upgrade is only possible for exec, attach, portforward, proxy and log';

async function targetOf(context: ServerContext, route: ResourceRoute, request: ApiRequest): Promise<Target> {
  const target = await findTarget(context, route, request);
  if (target === undefined) throw badRequest(`pod ${route.name} does not have a host assigned`);
  return target;
}

/** The request as the node gets it. Pure. */
export function renderHead(request: ApiRequest, target: Target, rawHeaders: readonly string[]): string {
  const lines = [
    `${request.method} ${target.path} HTTP/1.1`,
    `Host: ${target.endpoint.host}:${target.endpoint.port}`,
  ];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (!withheld.test(name)) lines.push(`${name}: ${rawHeaders[index + 1] ?? ''}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** What a refused client is told; gives the code. */
function refuse(socket: Duplex, error: unknown): number {
  const { status, body } = errorResponse(error);
  const bytes = body instanceof Uint8Array ? body : new Uint8Array();
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json',
    `Content-Length: ${bytes.byteLength}`,
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]));
  if (socket instanceof Socket) socket.setTimeout(refusalMs, () => socket.destroy());
  return status;
}
