import type { Socket } from 'node:net';

/** Until the other side takes a connection; after that it may be silent for as long as both ends live. */
const connectMs = 30_000;
/** How soon an end that vanished is asked whether it is there. */
const keepAliveMs = 60_000;

/**
 * Carries bytes both ways between a client and the server that it is being connected to, the end of each way by itself. Where the server
 * cannot be reached, or breaks off, the client sees a reset. Both are made with allowHalfOpen; the client is paused.
 */
export function relay(client: Socket, server: Socket): void {
  server.setTimeout(connectMs, () => server.destroy(new Error('connect timed out')));
  server.once('connect', () => {
    server.setTimeout(0);
    for (const end of [client, server]) end.setKeepAlive(true, keepAliveMs);
    client.pipe(server);
    server.pipe(client);
  });
  // What has ended both ways still sends what it has left.
  const breakOff = (other: Socket) => (): void => {
    if (!(other.readableEnded && other.writableEnded)) other.resetAndDestroy();
  };
  for (const [end, other] of [
    [server, client],
    [client, server],
  ] as const) {
    end.once('error', breakOff(other));
    end.once('close', breakOff(other));
  }
}
