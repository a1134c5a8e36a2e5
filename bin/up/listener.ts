import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

import { PodwrightError, errnoOf } from '#base/errors.ts';

/**
 * Opens the port on 127.0.0.1 in the machine's network, to be handed to a server process that lives in another one.
 * `release` closes this process's copy: the child's goes on listening. @throws E_BUSY when the port is taken
 */
export async function takeLoopbackListener(
  port: number,
): Promise<{ readonly fd: number; readonly release: () => void }> {
  const server = createServer();
  server.listen({ host: '127.0.0.1', port, backlog: 511 });
  try {
    await once(server, 'listening');
  } catch (cause) {
    const why =
      errnoOf(cause) === 'EADDRINUSE'
        ? 'something else listens there; choose another with --port'
        : String(errnoOf(cause));
    throw new PodwrightError('E_BUSY', `listen on 127.0.0.1:${port}: ${why}`);
  }
  return { fd: fdOf(server), release: () => void server.close() };
}

/** Node has no public way to ask a listening server for its descriptor; child_process takes the same `_handle.fd`. */
function fdOf(server: Server): number {
  const handle: unknown = Reflect.get(server, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0)
    throw new PodwrightError('E_INTERNAL', 'read the descriptor of a listening socket: this Node hides it');
  return fd;
}
