/** A message bus with one client, for tests: it takes anybody, notes calls and answers them. */
import { createServer, type Socket } from 'node:net';
import { decodeMessage, encodeMessage, messageLength, type BusArgument, type BusMessage } from './message.ts';

export interface FakeBus extends AsyncDisposable {
  readonly path: string;
  readonly calls: BusMessage[];
  /** Sends a signal to whoever is connected. */
  signal(message: Pick<BusMessage, 'path' | 'interface' | 'member' | 'body'>): void;
}

export async function startFakeBus(
  path: string,
  answer: (call: BusMessage) => readonly BusArgument[] | string,
): Promise<FakeBus> {
  const sockets = new Set<Socket>();
  const calls: BusMessage[] = [];
  let serial = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    let received = Buffer.alloc(0);
    let isBegun = false;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (!isBegun && received.includes('\r\n')) {
        const end = received.indexOf('\r\n') + 2;
        const line = received.subarray(0, end).toString('latin1');
        received = received.subarray(end);
        if (line.includes('AUTH')) socket.write('OK 0123456789abcdef0123456789abcdef\r\n');
        isBegun = line === 'BEGIN\r\n';
      }
      for (
        let length = isBegun ? messageLength(received) : undefined;
        length !== undefined;
        length = messageLength(received)
      ) {
        const call = decodeMessage(received.subarray(0, length));
        received = received.subarray(length);
        calls.push(call);
        const said = call.member === 'Hello' ? [{ type: 's' as const, value: ':1.1' }] : answer(call);
        const reply = { serial: ++serial, replySerial: call.serial, sender: call.destination ?? '' };
        socket.write(
          typeof said === 'string'
            ? encodeMessage({
                ...reply,
                type: 'error',
                errorName: 'org.example.Error',
                body: [{ type: 's', value: said }],
              })
            : encodeMessage({ ...reply, type: 'return', body: said }),
        );
      }
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(path, listening.resolve);
  await listening.promise;
  return {
    path,
    calls,
    signal: (message) => {
      for (const socket of sockets)
        socket.write(encodeMessage({ ...message, type: 'signal', serial: ++serial }));
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}
