import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { CommandChannels, StreamRequest } from './channels.ts';
import { servePortChannels, servePortForward } from './port-forward.ts';
import { serveAttach, serveExec, type AttachTarget, type CommandTarget } from './remote-command.ts';
import { spdyChannels } from './spdy-channels.ts';
import { websocketChannels, websocketProtocols } from './websocket-channels.ts';
import { websocketTransport } from './websocket-transport.ts';

/** A streaming request whose pod and container were found. */
export type StreamCall =
  | {
      readonly kind: 'exec';
      readonly target: CommandTarget;
      readonly args: readonly string[];
      readonly request: StreamRequest;
    }
  | { readonly kind: 'attach'; readonly target: AttachTarget; readonly request: StreamRequest }
  | { readonly kind: 'portForward'; readonly podUid: string; readonly ports: readonly number[] };

export interface UpgradePorts {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly logger: Logger;
}

const spdyCommandProtocols = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
];
const spdyPortForward = 'portforward.k8s.io';
export const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';
const messageLengthMax = 8_388_608;

/** Answers an upgrade and serves its streams to their end. */
export async function serveUpgrade(
  call: StreamCall,
  connection: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  ports: UpgradePorts,
): Promise<void> {
  const { request, socket, head } = connection;
  const upgrade = request.headers.upgrade?.toLowerCase() ?? '';
  if (upgrade === 'websocket') return serveWebSocket(call, { request, socket, head }, ports);
  if (upgrade !== 'spdy/3.1') {
    refuse(socket, 400, 'Bad Request', `unable to upgrade: unsupported upgrade ${JSON.stringify(upgrade)}`);
    return undefined;
  }
  const offered = wordsOf(request.headers['x-stream-protocol-version']);
  const supported = call.kind === 'portForward' ? [spdyPortForward] : spdyCommandProtocols;
  const protocol = offered.length === 0 ? supported.at(-1) : supported.find((name) => offered.includes(name));
  if (protocol === undefined) {
    refuse(
      socket,
      403,
      'Forbidden',
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${supported.join(' ')}]`,
    );
    return undefined;
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  if (call.kind === 'portForward') return servePortForward(socket, call.podUid, ports);
  const hasStatus = protocol === 'v4.channel.k8s.io';
  return serveCommand(
    call,
    await spdyChannels(socket, call.request, { clock: ports.clock, hasStatus }),
    ports,
  );
}

async function serveWebSocket(
  call: StreamCall,
  {
    request,
    socket,
    head,
  }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  ports: UpgradePorts,
): Promise<void> {
  const offered = wordsOf(request.headers['sec-websocket-protocol']);
  const isTunnel = call.kind === 'portForward' && offered.includes(tunnelProtocol);
  const supported = call.kind === 'portForward' ? ['v4.channel.k8s.io'] : [...websocketProtocols.keys()];
  const protocol = isTunnel ? tunnelProtocol : supported.find((name) => offered.includes(name));
  if (protocol === undefined && offered.length > 0) {
    refuse(
      socket,
      400,
      'Bad Request',
      `unable to upgrade: no subprotocol of [${offered.join(' ')}] is supported`,
    );
    return;
  }
  const webSocket = await acceptWebSocket({ request, socket, head }, protocol);
  if (isTunnel) await servePortForward(websocketTransport(webSocket), call.podUid, ports);
  else if (call.kind === 'portForward')
    await servePortChannels(webSocket, call.ports, { runtime: ports.runtime, podUid: call.podUid });
  else await serveCommand(call, websocketChannels(webSocket, call.request), ports);
}

/** The ws library refuses protocol names with a slash, so that the header is kept from it and answered here. */
function acceptWebSocket(
  {
    request,
    socket,
    head,
  }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  protocol: string | undefined,
): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  const isOdd = protocol?.includes('/') === true;
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: messageLengthMax,
    clientTracking: false,
    handleProtocols: () => protocol ?? false,
  });
  if (isOdd) {
    delete request.headers['sec-websocket-protocol'];
    server.on('headers', (headers) => void headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
  }
  socket.once('close', () => reject(new Error('client went away during the upgrade')));
  server.handleUpgrade(request, socket, head, (webSocket) => {
    webSocket.pause(); // Until its reader has its listeners: a message may have come with the request.
    resolve(webSocket);
  });
  return promise;
}

async function serveCommand(
  call: Exclude<StreamCall, { kind: 'portForward' }>,
  channels: CommandChannels,
  { runtime, logger }: UpgradePorts,
): Promise<void> {
  await using open = channels;

  try {
    if (call.kind === 'exec')
      await serveExec(runtime, { ...call.target, args: call.args, request: call.request }, open);
    else await serveAttach(runtime, call.target, open);
  } catch (error) {
    logger.debug(
      { pod: call.target.podUid, op: call.kind, error: describeError(error) },
      'stream ended early',
    );
  }
}

/** Answers an upgrade request in plain HTTP and closes. */
export function refuse(socket: Duplex, status: number, reason: string, message: string): void {
  const body = `${message}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function wordsOf(header: string | readonly string[] | undefined): readonly string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',');
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
