import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server, and loses what it is told to lose. */
export interface CutProxy extends AsyncDisposable {
  readonly url: string;
  /** From now on requests arrive and answers do not. */
  loseAnswers(): void;
  /** From now on nothing arrives. */
  loseRequests(): void;
  /** Ends the connections there are; new ones are whole again. */
  cut(): void;
}

export async function startCutProxy(targetUrl: string): Promise<CutProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let losing: 'nothing' | 'answers' | 'requests' = 'nothing';
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const isLosing = (what: typeof losing): boolean => losing === what && sockets.has(far);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        sockets.delete(socket);
      });
    }
    near.on('data', (bytes) => {
      if (!isLosing('requests')) far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (!isLosing('answers')) near.write(bytes);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const cut = (): void => {
    losing = 'nothing';
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${port}`,
    loseAnswers: () => {
      losing = 'answers';
    },
    loseRequests: () => {
      losing = 'requests';
    },
    cut,
    [Symbol.asyncDispose]: async () => {
      const closing = once(server.close(), 'close');
      cut();
      await closing;
    },
  };
}
