import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server, and loses what it is told to lose. */
export interface CutProxy extends AsyncDisposable {
  readonly url: string;
  /** From now on requests arrive and answers do not. */
  loseAnswers(): void;
  /** Ends the connections there are; new ones are whole again. */
  cut(): void;
}

export async function startCutProxy(targetUrl: string): Promise<CutProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let losing = false;
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const isLosing = (): boolean => losing && sockets.has(far);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        sockets.delete(socket);
      });
    }
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes) => {
      if (!isLosing()) near.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const cut = (): void => {
    losing = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    loseAnswers: () => {
      losing = true;
    },
    cut,
    [Symbol.asyncDispose]: async () => {
      const closing = once(server.close(), 'close');
      cut();
      await closing;
    },
  };
}
