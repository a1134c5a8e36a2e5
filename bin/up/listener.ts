import { once } from 'node:events';
import { createServer } from 'node:net';

import { PodwrightError, errnoOf } from '#base/errors.ts';
import { descriptorOf } from '#native/sys/descriptor.ts';

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
  return { fd: descriptorOf(server), release: () => void server.close() };
}
