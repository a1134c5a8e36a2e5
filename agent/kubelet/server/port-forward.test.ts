import { once } from 'node:events';
import net from 'node:net';
import { duplexPair, type Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createFakeClock, type Clock, systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import { drainMs, pairMs, servePortChannels, servePortForward } from './port-forward.ts';
import { websocketTransport } from './websocket-transport.ts';

const podUid = 'u1';
const size = 20_000_000;

/** What a pod does with each connection, by port. */
const behaviours: Readonly<Record<number, (socket: net.Socket) => void>> = {
  1: (socket) => void socket.pipe(socket),
  2: (socket) => void socket.end(Buffer.alloc(size)),
  3: (socket) => void socket.once('data', () => socket.write('last words', () => socket.resetAndDestroy())),
  4: (socket) => void socket.once('data', () => socket.resetAndDestroy()),
  // Ends first, and takes all the same.
  5: (socket) => {
    socket.end('bye');
    socket.on('data', (chunk: Buffer) => taken.push(chunk));
    socket.once('end', () => void takenAll.resolve());
  },
  // Takes nothing.
  6: () => undefined,
};
let taken: Buffer[] = [];
let takenAll = Promise.withResolvers<void>();

async function startPod() {
  taken = [];
  takenAll = Promise.withResolvers();
  const sockets = new Set<net.Socket>();
  const servers = new Map<number, net.Server>();
  for (const [port, behave] of Object.entries(behaviours)) {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
      behave(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.set(Number(port), server);
  }
  const connectPort = async (_uid: string, port: number): Promise<net.Socket> => {
    const address = servers.get(port)?.address();
    if (typeof address !== 'object' || address === null)
      throw new PodwrightError('E_CONNECTION', `connect to port ${port}: ECONNREFUSED`);
    const socket = net.connect({ host: '127.0.0.1', port: address.port, allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  };
  const dispose = async (): Promise<void> => {
    for (const server of servers.values()) server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { runtime: { connectPort }, sockets, [Symbol.asyncDispose]: dispose };
}

const transports: Readonly<Record<string, () => Promise<readonly [Duplex, Duplex]>>> = {
  SPDY: async () => duplexPair(),
  'SPDY in a WebSocket': async () => {
    const [left, right] = await webSocketPair();
    return [websocketTransport(left), websocketTransport(right)];
  },
};

async function webSocketPair(): Promise<readonly [WebSocket, WebSocket]> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const accepted = once(server, 'connection');
  const client = new WebSocket(`ws://127.0.0.1:${port}`);
  const [socket] = await accepted;
  await once(client, 'open');
  server.close();
  socket.pause();
  client.pause();
  return [client, socket];
}

describe.each(Object.entries(transports))('port-forward over %s', (_name, makeTransport) => {
  const startClient = async (clock: Clock = systemClock) => {
    const pod = await startPod();
    const [near, far] = await makeTransport();
    const served = servePortForward(far, podUid, { runtime: pod.runtime, clock });
    const session = new SpdySession({
      transport: near,
      clock: systemClock,
      isServer: false,
      onStream: () => undefined,
    });
    let id = 0;
    const connect = async (port: number) => {
      const requestid = String(id++);
      const error = await session.open({ streamtype: 'error', port: String(port), requestid });
      error.end();
      return { error, data: await session.open({ streamtype: 'data', port: String(port), requestid }) };
    };
    const dispose = async (): Promise<void> => {
      await session[Symbol.asyncDispose]();
      await served;
      await pod[Symbol.asyncDispose]();
    };
    return { connect, session, pod, [Symbol.asyncDispose]: dispose };
  };
  /** That others are not held up, and the session goes on. */
  const expectServing = async (client: Awaited<ReturnType<typeof startClient>>) => {
    const { data, error } = await client.connect(1);
    data.end('ping');
    expect([await readText(data), await readText(error)]).toEqual(['ping', '']);
  };

  test('the client ends first, and reads all that the pod answers', async () => {
    await using client = await startClient();

    const { data, error } = await client.connect(1);
    data.end(Buffer.alloc(size, 'x'));
    expect((await readAll(data)).length).toBe(size);
    expect(await readText(error)).toBe('');
    await expectServing(client);
  });

  test('the pod ends first: behind 20 MB comes the end, time after time', async () => {
    await using client = await startClient();

    for (let round = 0; round < 3; round++) {
      const { data, error } = await client.connect(2);
      expect((await readAll(data)).length).toBe(size);
      data.destroy(); // What kubectl does.
      expect(await readText(error)).toBe('');
    }
    await expectServing(client);
  });

  test('the pod ends first: both streams end, for a client that gives the connection up only then', async () => {
    await using client = await startClient();

    const { data, error } = await client.connect(5);
    expect([await readText(data), await readText(error)]).toEqual(['bye', '']);
    data.end(); // kubectl 1.20 closes the connection of whom it forwards, and hears that this one has ended.
    await takenAll.promise;
    await expectServing(client);
  });

  test('the pod ends first, and takes what the client sends then', async () => {
    await using client = await startClient();

    const { data, error } = await client.connect(5);
    expect(await readText(data)).toBe('bye');
    data.end('still here');
    await takenAll.promise;
    expect(Buffer.concat(taken).toString()).toBe('still here');
    expect(await readText(error)).toBe('');
  });

  test.each([
    ['at once', 4, ''],
    ['behind some bytes', 3, 'last words'],
  ])('the pod resets %s: the client reads the end, and no error', async (_when, port, words) => {
    await using client = await startClient();

    for (let round = 0; round < 5; round++) {
      const { data, error } = await client.connect(port);
      data.write('hello');
      expect(await readText(data)).toBe(words);
      expect(await readText(error)).toBe('');
    }
    await expectServing(client);
  });

  test('the client gives up: the connection ends behind what it had sent', async () => {
    await using client = await startClient();

    const { data, error } = await client.connect(5);
    data.write('all of this');
    while (taken.length === 0) await setImmediate();
    data.destroy();
    await takenAll.promise;
    expect(Buffer.concat(taken).toString()).toBe('all of this');
    expect(await readText(error)).toBe('');
    await expectServing(client);
  });

  test('a client that gives up a pod that takes nothing is let go of', async () => {
    const clock = createFakeClock();
    await using client = await startClient(clock);

    const { data, error } = await client.connect(6);
    data.on('error', () => undefined).write(Buffer.alloc(100_000));
    data.destroy();
    const ended = readText(error);
    using _timer = systemClock.after(0, function again() {
      clock.advance(drainMs);
      systemClock.after(20, again);
    });

    expect(await ended).toBe('');
  });

  test('a port where nobody listens is told, and ends', async () => {
    await using client = await startClient();

    const { data, error } = await client.connect(9);
    expect(await readText(data)).toBe('');
    expect(await readText(error)).toMatch(
      'error forwarding port 9 to pod u1: connect to port 9: ECONNREFUSED',
    );
    await expectServing(client);
  });

  test.each([
    ['no type', { port: '1', requestid: 'a' }],
    ['another type', { streamtype: 'stdin', port: '1', requestid: 'a' }],
    ['no port', { streamtype: 'data', requestid: 'a' }],
    ['a port too high', { streamtype: 'data', port: '65536', requestid: 'a' }],
    ['a port that is no number', { streamtype: 'data', port: '1e3', requestid: 'a' }],
  ])('a stream of %s is reset', async (_what, headers) => {
    await using client = await startClient();

    expect(await readText(await client.session.open(headers))).toBe('');
    await expectServing(client);
  });

  test('half a pair is let go of in time', async () => {
    const clock = createFakeClock();
    await using client = await startClient(clock);

    const half = await client.session.open({ streamtype: 'error', port: '1', requestid: 'half' });
    await expectServing(client);
    clock.advance(pairMs);
    expect(await readText(half)).toBe('');
    await expectServing(client);
  });
});

describe('port-forward over channels', () => {
  test('a port that resets does not hold up another', async () => {
    await using pod = await startPod();

    const [near, far] = await webSocketPair();
    void servePortChannels(far, [4, 1], { runtime: pod.runtime, podUid });
    const texts: string[] = ['', '', '', ''];
    const echoed = Promise.withResolvers<void>();
    near.on('message', (raw: Buffer) => {
      texts[raw[0] ?? 0] += raw.subarray(1).toString('latin1');
      if (texts[2]?.endsWith('end') === true) echoed.resolve();
    });
    near.resume();
    for (let sent = 0; sent < 100; sent++)
      near.send(Buffer.concat([Buffer.from([0]), Buffer.alloc(100_000)]));
    near.send(Buffer.from('\u0002end'));
    await echoed.promise;
    expect(texts[1]).toMatch(/^\u0004\0(.*(ECONNRESET|EPIPE))?/);
    const closed = once(near, 'close');
    near.close();
    await closed;
  });
});

async function readAll(stream: SpdyStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)); // An iterator would destroy it at the end.
  if (!stream.closed) await once(stream, stream.readableEnded ? 'close' : 'end');
  return Buffer.concat(chunks);
}

async function readText(stream: SpdyStream): Promise<string> {
  return (await readAll(stream)).toString();
}
