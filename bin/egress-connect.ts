import { once } from 'node:events';
import type { Duplex } from 'node:stream';

import { PodwrightError, errnoOf } from '#base/errors.ts';
import { http } from '#base/http/http.ts';
import type { Connect } from '#agent/runtime/images/registry/registry-transport.ts';

/** Connects through the launcher's proxy socket (up/egress.ts). @throws E_CONNECTION with the proxy's reason */
export function connectThrough(socketPath: string): Connect {
  return async ({ host, port }, signal) => {
    const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const outgoing = http.request({ socketPath, method: 'CONNECT', path: authority, signal });
    outgoing.end();
    const failure = (why: string, cause?: unknown): PodwrightError =>
      new PodwrightError('E_CONNECTION', `connect to ${authority}: ${why}`, { cause });
    try {
      const [response, socket, head] = (await once(outgoing, 'connect')) as [
        { statusCode?: number; headers: Record<string, string> },
        Duplex,
        Buffer,
      ];
      if (response.statusCode === 200) {
        if (head.length > 0) socket.unshift(head); // Of the tunnel, come along with the answer.
        return socket;
      }
      socket.destroy();
      throw failure(response.headers['x-reason'] ?? `the proxy answered ${response.statusCode}`);
    } catch (error) {
      if (error instanceof PodwrightError) throw error;
      throw failure(errnoOf(error) ?? 'no answer from the launcher', error);
    }
  };
}
