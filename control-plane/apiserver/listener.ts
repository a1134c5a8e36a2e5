import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { PortPaths } from './paths/port-paths.ts';
import type { ServerContext } from './server-context.ts';

/** Where to listen: an address, or a socket that was opened by whoever started this process. */
export type Listener =
  /** With `paths` it answers those alone, instead of the API. */
  { readonly host: string; readonly port: number; readonly paths?: PortPaths } | { readonly fd: number };

export function listenError(listener: Listener, cause: Error): PodwrightError {
  const where = 'fd' in listener ? `descriptor ${listener.fd}` : `${listener.host}:${listener.port}`;
  const errno = errnoOf(cause) ?? '';
  const code = errno === 'EADDRINUSE' ? 'E_BUSY' : errno === 'EACCES' ? 'E_PERMISSION' : 'E_KERNEL';
  const why = errno === 'EADDRINUSE' ? 'the port is in use' : errno;
  return new PodwrightError(code, `listen on ${where}: ${why}`, { cause, detail: { errno } });
}

/** The context of such a port. What of the server's changes while it runs, changes in it, too. */
export function withPaths(context: ServerContext, portPaths: PortPaths | undefined): ServerContext {
  if (portPaths === undefined) return context;
  return Object.create(context, { portPaths: { value: portPaths } }) as ServerContext;
}
