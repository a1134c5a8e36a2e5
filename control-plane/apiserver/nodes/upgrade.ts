import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { STATUS_CODES } from 'node:http';
import { badRequest } from '#api/errors/status.ts';
import { describeError } from '#base/errors.ts';
import { openRemoteStream } from '#control-plane/apiserver/aggregation/proxy-remote.ts';
import type { RemoteService } from '#control-plane/apiserver/aggregation/remote-service.ts';
import { admitConnection } from '#control-plane/apiserver/chain/admission/admit-connection.ts';
import { passChain, type Passed } from '#control-plane/apiserver/chain/chain.ts';
import type { Upgrade } from '#control-plane/apiserver/serve/http-server.ts';
import type { ApiRequest, ApiResponse, AuthorizedRequest } from '#control-plane/apiserver/serve/request.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { openLog } from './connect.ts';
import { chooseLogProtocol, sendLog } from './log-socket.ts';
import { findTarget, type Target } from './target.ts';
import { renderHead, withoutHeaders } from './upgrade-head.ts';

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
  const serve = (passed: Passed): Promise<Opened> => openUpgrade(context, passed, upgrade);
  const answer = await passChain(context, request, { serve });
  if ('begin' in answer) await answer.begin();
  else refuse(upgrade.socket, answer);
}

/** What the other end said yes to, and what is to be done with the connection now. */
interface Opened {
  readonly status: 101;
  readonly begin: () => void | Promise<void>;
}

/** How long a refused client may take to read why. */
const refusalMs = 10_000;

async function openUpgrade(
  context: ServerContext,
  { route, request }: Passed,
  upgrade: Upgrade,
): Promise<Opened> {
  const { record } = request;
  const remote = context.aggregation.find(request.path);
  if (remote !== undefined) return openRemote(context, remote, { request, upgrade });
  if (route.kind !== 'resource' || route.route.subresource === undefined) throw badRequest(upgradable);
  const isLog = route.route.subresource.name === 'log';
  using _admitted = isLog ? undefined : await admitConnection(context, route.route, request);

  const target = await targetOf(context, route.route, request);
  const opened = isLog
    ? await openLogSocket(context, target, { request, upgrade })
    : await openStream(context, target, { request, upgrade });
  if (record !== undefined) upgrade.socket.once('close', () => void record.complete());
  return opened;
}

async function openStream(
  context: ServerContext,
  target: Target,
  { request, upgrade }: { readonly request: ApiRequest; readonly upgrade: Upgrade },
): Promise<Opened> {
  context.streams.checkRoom();
  const node = await context.nodes.connect(target.endpoint);
  return {
    status: 101,
    begin: () => {
      const { isIdentityHeader } = context.authentication;
      node.write(renderHead(request, target, withoutHeaders(upgrade.message.rawHeaders, isIdentityHeader)));
      if (upgrade.head.byteLength > 0) node.write(upgrade.head);
      context.streams.join(upgrade.socket, node);
    },
  };
}

/** The connection belongs to the server that answers the group version. */
async function openRemote(
  context: ServerContext,
  remote: RemoteService,
  { request, upgrade }: { readonly request: AuthorizedRequest; readonly upgrade: Upgrade },
): Promise<Opened> {
  context.streams.checkRoom();
  const { rawHeaders } = upgrade.message;
  const { socket, head } = await openRemoteStream(context, remote, { request, rawHeaders });
  const { record } = request;
  if (record !== undefined) upgrade.socket.once('close', () => void record.complete());
  return {
    status: 101,
    begin: () => {
      socket.write(head);
      if (upgrade.head.byteLength > 0) socket.write(upgrade.head);
      context.streams.join(upgrade.socket, socket);
    },
  };
}

/** The node knows logs only as plain answers: the WebSocket ends here. */
async function openLogSocket(
  context: ServerContext,
  target: Target,
  { request, upgrade }: { readonly request: ApiRequest; readonly upgrade: Upgrade },
): Promise<Opened> {
  if (request.headers['upgrade']?.toLowerCase() !== 'websocket') {
    throw badRequest('a log is upgraded to a WebSocket only');
  }
  const protocol = chooseLogProtocol(request.headers['sec-websocket-protocol']);
  const log = await openLog(context, target, request.signal);
  const begin = async (): Promise<void> => {
    try {
      await sendLog(log, upgrade, protocol);
    } catch (error) {
      context.logger.debug({ path: request.path, error: describeError(error) }, 'log ended early');
      upgrade.socket.destroy();
    }
  };
  return { status: 101, begin };
}

const upgradable = 'an upgrade is only possible for exec, attach, portforward, proxy and log';

async function targetOf(context: ServerContext, route: ResourceRoute, request: ApiRequest): Promise<Target> {
  const target = await findTarget(context, route, request);
  if (target === undefined) throw badRequest(`pod ${route.name} does not have a host assigned`);
  return target;
}

/** Tells a refused client why. */
function refuse(socket: Duplex, { status, body }: ApiResponse): void {
  const bytes = body instanceof Uint8Array ? body : new Uint8Array();
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json',
    `Content-Length: ${bytes.byteLength}`,
    'Connection: close',
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]));
  if (socket instanceof Socket) socket.setTimeout(refusalMs, () => socket.destroy());
}
