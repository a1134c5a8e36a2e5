import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock } from '#base/clock.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { handle } from './chain/handle.ts';
import { handleUpgrade } from './nodes/upgrade.ts';
import type { PortPaths } from './paths/port-paths.ts';
import { createHttpServer, servingContext, type HttpServerOptions } from './serve/http-server.ts';
import type { ServerContext } from './server-context.ts';

/** Where to listen: an address, or a socket that was opened by whoever started this process. */
export type Listener =
  /** With `paths` it answers those alone, instead of the API. */
  { readonly host: string; readonly port: number; readonly paths?: PortPaths } | { readonly fd: number };

const closeGraceMs = 500;

/** A port that is listened on. */
export interface RunningServer {
  readonly server: Http2SecureServer;
  readonly port: number;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  readonly sockets: ReadonlySet<Socket>;
}

/** What listeners show, and whose clients a handshake takes for its own: those of clients, and of a proxy in front. */
export type ServingCertificates = Pick<HttpServerOptions, 'serving' | 'caCertPem'>;

export function showAll(servers: readonly RunningServer[], shown: ServingCertificates): void {
  for (const { server } of servers) server.setSecureContext(servingContext(shown));
}

/** @throws E_BUSY, E_PERMISSION, E_KERNEL with the place */
export async function listen(
  context: ServerContext,
  shown: ServingCertificates,
  listener: Listener,
): Promise<RunningServer> {
  const { paths, ...where } = { paths: undefined, ...listener };
  const own = withPaths(context, paths);
  const { logger, turns } = context;
  const server = createHttpServer({
    ...{ ...shown, logger, turns, handle: (request) => handle(own, request) },
    upgrade: (request, upgrade) => handleUpgrade(own, request, upgrade),
  });
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error) => reject(listenError(listener, error)));
  server.listen(where, resolve);
  await promise;
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { server, port, sessions, sockets };
}

/** Watches end cleanly, then connections close; what does not end in time is cut. */
export async function closeAll(
  servers: readonly RunningServer[],
  closing: AbortController,
  clock: Clock,
): Promise<void> {
  closing.abort();
  await Promise.all(
    servers.map(async ({ server, sessions, sockets }) => {
      const { promise: closed, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      for (const session of sessions) session.close();
      using _cut = clock.after(closeGraceMs, () => {
        for (const socket of sockets) socket.destroy();
      });

      await closed;
    }),
  );
}

/** The first port that is asked for, or 0. */
export function portOf(listeners: readonly Listener[]): number {
  return listeners.flatMap((listener) => ('port' in listener ? [listener.port] : []))[0] ?? 0;
}

function listenError(listener: Listener, cause: Error): PodwrightError {
  const where = 'fd' in listener ? `descriptor ${listener.fd}` : `${listener.host}:${listener.port}`;
  const errno = errnoOf(cause) ?? '';
  const code = errno === 'EADDRINUSE' ? 'E_BUSY' : errno === 'EACCES' ? 'E_PERMISSION' : 'E_KERNEL';
  const why = errno === 'EADDRINUSE' ? 'the port is in use' : errno;
  return new PodwrightError(code, `listen on ${where}: ${why}`, { cause, detail: { errno } });
}

/** The context of such a port. What of the server's changes while it runs, changes in it, too. */
function withPaths(context: ServerContext, portPaths: PortPaths | undefined): ServerContext {
  if (portPaths === undefined) return context;
  return Object.create(context, { portPaths: { value: portPaths } }) as ServerContext;
}
