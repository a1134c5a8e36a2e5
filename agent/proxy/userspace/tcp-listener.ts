import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Backend } from '#agent/proxy/service-map.ts';
import type { Listener, ListenerOptions } from './listener.ts';

const dialMsDefault = [250, 500, 1_000, 2_000];

/** Accepts connections at a port of its own and forwards each to a backend; one that does not accept is passed over. */
export async function listenTcp(options: ListenerOptions): Promise<Listener> {
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    client.on('error', () => client.destroy());
    const session = options.sessions.open();
    if (session === undefined) {
      client.resetAndDestroy();
      return;
    }
    client.on('close', () => session[Symbol.dispose]());
    void forward(client, options);
  });
  server.listen({ host: options.host, port: 0, exclusive: true, backlog: 4_096 });
  await once(server, 'listening'); // Rejects with the error of listen(2).
  return {
    port: (server.address() as AddressInfo).port,
    noteBackends: () => undefined, // Connections go on: the backend ends them.
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.resetAndDestroy();
      await closed;
    },
  };
}

async function forward(
  client: Socket,
  { balancer, clock, dialMs = dialMsDefault }: ListenerOptions,
): Promise<void> {
  const from = client.remoteAddress ?? '';
  for (const timeoutMs of dialMs) {
    const backend = balancer.next(from, clock.monotonic());
    if (backend === undefined || client.destroyed) break;
    const upstream = await dial(backend, timeoutMs);
    if (upstream !== undefined) {
      join(client, upstream);
      return;
    }
    balancer.forget(from);
  }
  client.resetAndDestroy();
}

/** undefined: it does not accept. */
function dial({ ip, port }: Backend, timeoutMs: number): Promise<Socket | undefined> {
  const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
  const socket = connect({ host: ip, port, allowHalfOpen: true, timeout: timeoutMs });
  const fail = (): void => {
    socket.destroy();
    resolve(undefined);
  };
  socket.once('error', fail);
  socket.once('timeout', fail);
  socket.once('connect', () => {
    socket.setTimeout(0);
    socket.off('error', fail);
    socket.off('timeout', fail);
    resolve(socket);
  });
  return promise;
}

/** Each direction ends by itself; an end by force is one of both. */
function join(client: Socket, upstream: Socket): void {
  upstream.on('error', () => client.resetAndDestroy());
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.destroySoon());
  if (client.destroyed) {
    upstream.destroy();
    return;
  }
  client.setNoDelay(true);
  upstream.setNoDelay(true);
  client.pipe(upstream);
  upstream.pipe(client);
}
