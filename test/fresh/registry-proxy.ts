/**
 * The way to the registries of npm and Debian for a machine without any network: an HTTP proxy on a unix socket, outside. It reaches hosts
 * by name only, so that nothing for an address of a pod or a Service can leave by it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';

import { http } from '#base/http/http.ts';

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Through the machine's own proxy where its environment names one (http://HOST:PORT). */
export async function startRegistryProxy(
  socketPath: string,
  environment: NodeJS.ProcessEnv,
): Promise<AsyncDisposable> {
  const upstreamProxy = parseProxy(environment);
  const server = http.createServer((request, response) => forward(request, response, upstreamProxy));
  server.on('connect', (request: IncomingMessage, client: Duplex) => tunnel(request, client, upstreamProxy));
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

function parseProxy(environment: NodeJS.ProcessEnv): Target | undefined {
  const text = environment['https_proxy'] ?? environment['HTTPS_PROXY'] ?? environment['http_proxy'];
  if (text === undefined || text === '') return undefined;
  const { hostname, port } = new URL(text);
  return { host: hostname, port: Number(port || '80') };
}

/** By name, with a dot: an address, or a name of this machine's own, is refused. Pure. */
export function parseTarget(authority: string, portDefault: number): Target | undefined {
  const match = /^([a-z0-9.-]+)(?::(\d{1,5}))?$/i.exec(authority);
  const host = match?.[1];
  if (host === undefined || isIP(host) !== 0 || !host.includes('.')) return undefined;
  return { host, port: Number(match?.[2] ?? portDefault) };
}

function tunnel(request: IncomingMessage, client: Duplex, proxy: Target | undefined): void {
  const target = parseTarget(request.url ?? '', 443);
  if (target === undefined) {
    client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    return;
  }
  const upstream: Socket = connect(proxy ?? target, () => {
    if (proxy === undefined) client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    else upstream.write(`CONNECT ${request.url} HTTP/1.1\r\nHost: ${request.url}\r\n\r\n`); // Its answer is the client's.
    pipeline(client, upstream, () => upstream.destroy());
    pipeline(upstream, client, () => client.destroy());
  });
  upstream.on('error', () => client.destroy());
  client.on('error', () => upstream.destroy());
}

/** `GET http://host/path`, as apt asks for its archive. */
function forward(request: IncomingMessage, response: ServerResponse, proxy: Target | undefined): void {
  const url = URL.parse(request.url ?? '');
  const target = url?.protocol === 'http:' ? parseTarget(url.host, 80) : undefined;
  if (url === null || target === undefined) {
    response.writeHead(403).end();
    return;
  }
  const outgoing = http.request(
    {
      ...(proxy ?? target),
      method: request.method,
      path: proxy === undefined ? `${url.pathname}${url.search}` : url.href,
      headers: request.headers,
    },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      pipeline(answer, response, () => undefined);
    },
  );
  outgoing.on(
    'error',
    () => void (response.headersSent ? response.destroy() : response.writeHead(502).end()),
  );
  pipeline(request, outgoing, () => undefined);
}
