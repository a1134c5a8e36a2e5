/**
 * Exec, Attach and PortForward of CRI: the client is given a URL, which is good once and for a minute, and connects there by SPDY or
 * WebSocket, as to a kubelet.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import { ExpiringMap } from '#base/expiring-map.ts';
import { describeError } from '#base/errors.ts';
import { refusal } from '#proto/status.ts';
import { refuse, serveUpgrade, type StreamCall, type UpgradePorts } from '#agent/kubelet/server/upgrade.ts';

export interface CriStreams extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/exec/TOKEN` */
  urlOf(call: StreamCall): string;
}

/** URLs that were given and not used; the oldest is forgotten. */
const callsMax = 1000;
const urlMs = 60_000;
const connectionsMax = 1000;
const headersMs = 32_000;
/** A stream on which nothing is said (streaming_connection_idle_timeout of kubelets). */
const idleMs = 4 * 60 * 60 * 1000;

/** Listens at a port of its own. */
export async function startCriStreams(host: string, ports: UpgradePorts): Promise<CriStreams> {
  const { clock, logger } = ports;
  const calls = new ExpiringMap<string, StreamCall>(callsMax);
  const open = new Set<Duplex>();
  const server = http.createServer({ headersTimeout: headersMs, requestTimeout: headersMs });
  server.maxConnections = connectionsMax;
  const take = ({ url = '' }: IncomingMessage): StreamCall | undefined => {
    const [, kind, token = '', ...rest] = (url.split('?', 1)[0] ?? '').split('/');
    const call = rest.length > 0 ? undefined : calls.get(token, clock.now());
    if (call === undefined || pathOf(call) !== kind) return undefined;
    calls.set(token, call, { ttlMs: 0, nowMs: clock.now() }); // Once.
    return call;
  };
  server.on('connection', (socket: Duplex) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('request', (_request, response) => {
    response.writeHead(400, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end('unable to upgrade: missing upgrade headers in request\n');
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (socket instanceof Socket) socket.setTimeout(idleMs, () => socket.destroy());
    const call = take(request);
    if (call === undefined) {
      refuse(socket, 404, 'Not Found', 'this URL was used, or its time is over, or it never was one');
      return;
    }
    serveUpgrade(call, { request, socket, head }, ports).catch((error: unknown) => {
      logger.debug({ op: call.kind, error: describeError(error) }, 'stream ended early');
      socket.destroy();
    });
  });
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    urlOf: (call) => {
      if (open.size >= connectionsMax)
        throw refusal('RESOURCE_EXHAUSTED', `${connectionsMax} streams are open`);
      const token = randomBytes(16).toString('base64url');
      calls.set(token, call, { ttlMs: urlMs, nowMs: clock.now() });
      return `http://${host.includes(':') ? `[${host}]` : host}:${port}/${pathOf(call)}/${token}`;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

function pathOf({ kind }: StreamCall): string {
  return kind === 'portForward' ? 'portforward' : kind;
}
