import { once } from 'node:events';
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';

import { relay } from './relay.ts';

/** Connections of one server at once. */
const connectionsMax = 4_096;

export interface RelayServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Takes connections over and carries each to what `toServer` connects it to, until disposed, which breaks them off.
 * @throws what listen(2) says
 */
export async function startRelay(
  at: ListenOptions | { readonly fd: number },
  toServer: (client: Socket) => Socket,
): Promise<RelayServer> {
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    connections.add(client);
    client.once('close', () => connections.delete(client));
    try {
      relay(client, toServer(client));
    } catch {
      client.destroy(); // It is gone already, or this process has no descriptor left.
    }
  });
  server.maxConnections = connectionsMax;
  server.listen(at);
  await once(server, 'listening');
  return {
    port: portOf(server),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
