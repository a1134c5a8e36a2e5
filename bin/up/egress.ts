import { chmodSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';

import { http } from '#base/http/http.ts';
import { clearSocketPath } from '#bin/program/socket-path.ts';

const connectionsMax = 256;
const connectTimeoutMs = 30_000;
/** Longer than any registry is waited for (registry-transport.ts): what is silent for this long has been forgotten. */
const tunnelIdleMs = 900_000;

/**
 * The way out for image pulls: an HTTP proxy on a unix socket (CONNECT only), in the launcher, which is the only process
 * of the cluster that lives in the machine's own network. Nodes reach the socket through the file system.
 */
export async function startEgress(socketPath: string): Promise<AsyncDisposable> {
  clearSocketPath(socketPath);
  const server = http.createServer((_request, response) => {
    response.writeHead(405).end('only CONNECT\n');
  });
  server.maxConnections = connectionsMax;
  server.on('connect', (request: IncomingMessage, client: Duplex) => tunnel(request.url ?? '', client));
  server.listen(socketPath);
  await once(server, 'listening');
  chmodSync(socketPath, 0o600);
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

/** `authority` is `host:port` of the CONNECT line. */
function tunnel(authority: string, client: Duplex): void {
  const match = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(authority);
  if (match === null) {
    client.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    return;
  }
  const upstream = connect({ host: match[1] ?? '', port: Number(match[2]) });
  upstream
    .setTimeout(connectTimeoutMs)
    .once('timeout', () => upstream.destroy(new Error('connect timed out')));
  let isOpen = false;
  upstream.once('connect', () => {
    isOpen = true;
    upstream.setTimeout(tunnelIdleMs);
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    client.pipe(upstream).pipe(client);
  });
  upstream.once('error', (error) => {
    // What is said in a tunnel that is open would pass for the other side's bytes.
    if (isOpen) client.destroy();
    else
      client.end(`HTTP/1.1 502 Bad Gateway\r\nX-Reason: ${error.message.replaceAll(/[^ -~]/g, ' ')}\r\n\r\n`);
  });
  client.once('error', () => upstream.destroy());
  client.once('close', () => upstream.destroy());
}
