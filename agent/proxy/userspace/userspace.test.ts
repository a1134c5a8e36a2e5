import { once } from 'node:events';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import type { ServiceSpec } from '#api/generated/objects.ts';
import type { Backend } from '#agent/proxy/service-map.ts';
import { limited, listeningTableIn, local, localPolicy, remote } from '#agent/proxy/services.fixture.ts';
import { renderTable } from '#native/nft/render.ts';
import { clientsMax, createBalancer } from './balancer.ts';
import type { Listener } from './listener.ts';
import { createSessions } from './sessions.ts';
import { listenTcp } from './tcp-listener.ts';
import { listenUdp } from './udp-listener.ts';

const backend = (name: string): Backend => ({ ip: name, port: 80, isLocal: true });
const [a, b, c] = ['a', 'b', 'c'].map(backend) as [Backend, Backend, Backend];

describe('createBalancer()', () => {
  const take = (balancer: ReturnType<typeof createBalancer>, count: number, nowMs = 0): string =>
    Array.from({ length: count }, (_, i) => balancer.next(`client ${i}`, nowMs)?.ip ?? '-').join('');

  test.each<[string, readonly (readonly [readonly Backend[], number])[], string]>([
    ['in turn', [[[a, b, c], 7]], 'abcabca'],
    ['one', [[[a], 3]], 'aaa'],
    ['none', [[[], 2]], '--'],
    [
      'goes on where it was when one is added',
      [
        [[a, c], 1],
        [[a, b, c], 4],
      ],
      'abcab',
    ],
    [
      'goes on when one before goes',
      [
        [[a, b, c], 2],
        [[b, c], 3],
      ],
      'abcbc',
    ],
    [
      'goes on when the last one that was chosen goes',
      [
        [[a, b, c], 2],
        [[a, c], 3],
      ],
      'abcac',
    ],
    [
      'goes on when all were gone',
      [
        [[a, b], 1],
        [[], 1],
        [[a, b], 2],
      ],
      'a-ba',
    ],
  ])('%s', (_name, steps, want) => {
    const balancer = createBalancer();
    const got = steps.map(([backends, count]) => {
      balancer.setBackends(backends, undefined);
      return take(balancer, count);
    });
    expect(got.join('')).toBe(want);
  });

  test('keeps a client where it was for its time, and as long as that is there', () => {
    const balancer = createBalancer();
    balancer.setBackends([a, b], 10);
    const next = (nowMs: number): string | undefined => balancer.next('client', nowMs)?.ip;
    expect([next(0), next(9_000), next(18_000), next(28_000)]).toEqual(['a', 'a', 'a', 'b']);
    balancer.setBackends([a], 10);
    expect(next(28_001)).toBe('a');
    balancer.setBackends([a, b], 10);
    expect(next(28_002)).toBe('a');
    balancer.forget('client');
    expect(next(28_003)).toBe('b');
  });

  test('keeps no more clients than its bound', () => {
    const balancer = createBalancer();
    balancer.setBackends([a, b], 10);
    balancer.next('first', 0);
    for (let i = 0; i < clientsMax; i++) balancer.next(`${i}`, 0);
    // By its turn, which is the other's: nobody remembers it.
    expect(balancer.next('first', 0)?.ip).toBe('b');
  });
});

test.each<[string, 'ip' | 'ip6', ServiceSpec]>([
  ['node-port', 'ip', localPolicy],
  ['load-balancer-ip6', 'ip6', limited],
  ['sctp', 'ip', { ports: [{ port: 80, protocol: 'SCTP' }] }],
])('rules that only lead to listeners: %s', async (name, family, spec) => {
  const table = listeningTableIn(family, spec, [local, remote]);
  await expect(`${renderTable(table)}\n`).toMatchFileSnapshot(`golden/${name}.nft`);
});

describe('createSessions()', () => {
  test('has as many as its bound; one that may be ended makes place, the longest silent first', () => {
    const sessions = createSessions(2);
    const ended: string[] = [];
    const openEndable = (name: string) => {
      const session = sessions.open(() => {
        ended.push(name);
        session?.[Symbol.dispose]();
      });
      return session;
    };
    const first = openEndable('first');
    openEndable('second');
    first?.touch();
    const third = sessions.open();
    expect([ended, third !== undefined]).toEqual([['second'], true]);
    expect([sessions.open() !== undefined, ended]).toEqual([true, ['second', 'first']]);
    expect(sessions.open()).toBeUndefined();
    third?.[Symbol.dispose]();
    expect(sessions.open()).toBeDefined();
  });
});

const host = '127.0.0.1';

async function serverAt(
  answer: (said: string) => string,
): Promise<{ readonly server: Server; readonly backend: Backend }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    let said = '';
    socket.on('data', (data) => {
      said += data.toString();
    });
    socket.on('end', () => socket.end(answer(said)));
  });
  await once(server.listen(0, host), 'listening');
  return { server, backend: { ip: host, port: (server.address() as AddressInfo).port, isLocal: true } };
}

async function say(listener: Listener, words: string): Promise<string> {
  const socket = connect({ host, port: listener.port, allowHalfOpen: true });
  socket.end(words);
  return text(socket).catch((error: NodeJS.ErrnoException) => error.code ?? '');
}

describe('listenTcp()', () => {
  test('forwards both directions to their ends, in turn, and passes over a backend that does not accept', async () => {
    const [one, two] = await Promise.all([
      serverAt((said) => `one ${said}`),
      serverAt((said) => `two ${said}`),
    ]);
    const balancer = createBalancer();
    balancer.setBackends([one.backend, two.backend], undefined);
    const dialMs = [60_000, 60_000]; // On a busy machine one that accepts late is not passed over.
    const options = { host, balancer, sessions: createSessions(), clock: systemClock, dialMs };
    await using listener = await listenTcp(options);

    const long = 'x'.repeat(1_000_000);
    expect(await say(listener, long)).toBe(`one ${long}`);
    expect(await say(listener, 'b')).toBe('two b');
    one.server.close();
    await once(one.server, 'close');
    for (const word of ['c', 'd', 'e']) expect(await say(listener, word)).toBe(`two ${word}`);
    two.server.close();
    await once(two.server, 'close');
    expect(await say(listener, 'f')).toBe('ECONNRESET');
  });

  test('takes no more connections than there may be, and those that end make place', async () => {
    const { server, backend } = await serverAt((said) => said);
    const balancer = createBalancer();
    balancer.setBackends([backend], undefined);
    await using listener = await listenTcp({
      host,
      balancer,
      sessions: createSessions(1),
      clock: systemClock,
    });

    const first = connect({ host, port: listener.port });
    first.write('a');
    await once(first, 'connect');
    await expect.poll(() => say(listener, 'b'), { timeout: 20_000 }).toBe('ECONNRESET');
    first.destroy();
    await expect.poll(() => say(listener, 'c'), { timeout: 20_000 }).toBe('c');
    server.close();
  });
});

async function udpServer(name: string): Promise<{ readonly socket: UdpSocket; readonly backend: Backend }> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => socket.send(`${name} ${String(message)}`, from.port, from.address));
  await new Promise<void>((resolve) => void socket.bind(0, host, resolve));
  return { socket, backend: { ip: host, port: socket.address().port, isLocal: true } };
}

test('listenUdp() keeps a client at a backend while that is there, and until it is silent', async () => {
  const [one, two] = await Promise.all([udpServer('one'), udpServer('two')]);
  const balancer = createBalancer();
  balancer.setBackends([one.backend, two.backend], undefined);
  const clock = createFakeClock();
  await using listener = await listenUdp({ host, balancer, sessions: createSessions(), clock });

  const client = createSocket('udp4');
  const ask = async (words: string): Promise<string> => {
    client.send(words, listener.port, host);
    const [message] = (await once(client, 'message')) as [Buffer];
    return message.toString();
  };
  expect([await ask('a'), await ask('b')]).toEqual(['one a', 'one b']);
  balancer.setBackends([two.backend], undefined);
  listener.noteBackends(balancer.backends);
  expect(await ask('c')).toBe('two c');
  balancer.setBackends([one.backend, two.backend], undefined);
  listener.noteBackends(balancer.backends);
  clock.advance(119_000);
  expect(await ask('d')).toBe('two d');
  clock.advance(119_000);
  expect(await ask('e')).toBe('two e');
  clock.advance(120_000);
  expect(await ask('f')).toBe('one f');
  for (const socket of [client, one.socket, two.socket]) socket.close();
});
