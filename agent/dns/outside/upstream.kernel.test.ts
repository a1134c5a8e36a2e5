/** Upstream resolvers in a network namespace of the test's own: they listen on addresses of `lo`. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

import { decode } from 'dns-packet';
import { beforeAll, describe, expect, test } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { addressOf, answersOf, asks, says } from './messages.fixture.ts';
import { createUpstream, frame, parseServer } from './upstream.ts';

const query = asks('example.com');
const { signal } = new AbortController();

/** Answers each message over UDP with what `reply` makes of it. */
async function serve(
  address: string,
  reply: (message: Buffer) => readonly Buffer[],
  port = 53,
): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    for (const each of reply(message)) socket.send(each, from.port, from.address);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

test.each([
  ['10.0.0.1', '10.0.0.1', 53],
  ['10.0.0.1:5353', '10.0.0.1', 5353],
  ['fd00::1', 'fd00::1', 53],
  ['[fd00::1]:5353', 'fd00::1', 5353],
])('%s', (text, host, port) => expect(parseServer(text)).toEqual({ host, port }));

describe.skipIf(process.getuid?.() !== 0)('createUpstream() (needs root)', () => {
  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    await createSyncNetlink().apply(ownNetns, [{ op: 'setLink', name: 'lo', up: true }]);
  });

  test('asks one that did not answer after the others for a while, and those that are named now', async () => {
    const asked: string[] = [];
    const note = (address: string, reply: (message: Buffer) => readonly Buffer[]): Promise<Socket> =>
      serve(address, (message) => {
        asked.push(address);
        return reply(message);
      });
    const sockets = [
      await note('127.0.0.2', () => []),
      await note('127.0.0.3', (message) => [says(message, {})]),
    ];
    const clock = createFakeClock();
    let servers = ['127.0.0.2', '127.0.0.3'];
    const upstream = createUpstream({ servers: () => servers, clock });
    const ask = async (): Promise<readonly string[]> => {
      asked.length = 0;
      const reply = upstream.ask(query, signal);
      while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
      if (asked[0] === '127.0.0.2') clock.advance(2_000);
      expect((await reply).readUInt16BE(0)).toBe(7);
      return [...asked];
    };
    expect(await ask()).toEqual(['127.0.0.2', '127.0.0.3']);
    expect(await ask()).toEqual(['127.0.0.3']);
    clock.advance(10_000);
    expect(await ask()).toEqual(['127.0.0.2', '127.0.0.3']);
    servers = ['127.0.0.3'];
    expect(await ask()).toEqual(['127.0.0.3']);
    servers = [];
    expect(upstream.servers()).toEqual([]);
    for (const socket of sockets) socket.close();
  });

  test('takes what answers another question for forged', async () => {
    const forged = (message: Buffer): Buffer => {
      const other = says(asks('example.org'), { answers: [addressOf('example.org', 60, '203.0.113.66')] });
      message.copy(other, 0, 0, 2);
      return other;
    };
    const right = (message: Buffer): Buffer => says(message, { answers: [addressOf('example.com', 60)] });
    const socket = await serve('127.0.0.4', (message) => [forged(message), right(message)]);
    const upstream = createUpstream({ servers: () => ['127.0.0.4'], clock: systemClock });
    expect(answersOf(await upstream.ask(query, signal))).toEqual(['example.com 60 192.0.2.1']);
    socket.close();
  });

  test('asks by TCP for what UDP does not hold, at the port that is named', async () => {
    const answers = Array.from({ length: 100 }, (_, i) => addressOf('example.com', 60, `192.0.2.${i}`));
    const truncated = 0x0200;
    const udp = await serve('127.0.0.5', (message) => [says(message, { code: truncated })], 5353);
    const tcp = createServer((socket) => {
      socket.on('data', (data: Buffer) => socket.end(frame(says(data.subarray(2), { answers }))));
    });
    tcp.listen(5353, '127.0.0.5');
    await once(tcp, 'listening');
    const asked: [string, boolean][] = [];
    const upstream = createUpstream({
      servers: () => ['127.0.0.5:5353'],
      clock: systemClock,
      onAsked: (...each) => asked.push(each),
    });
    expect(decode(await upstream.ask(query, signal)).answers).toHaveLength(100);
    expect(asked).toEqual([['127.0.0.5:5353', true]]);
    udp.close();
    tcp.close();
  });
});
