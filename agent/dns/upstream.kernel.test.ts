/** Upstream resolvers in a network namespace of the test's own: they listen on port 53 of addresses of `lo`. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

import { encode } from 'dns-packet';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createUpstream } from './upstream.ts';

const query = encode({ type: 'query', id: 9, questions: [{ name: 'example.com', type: 'A' }] });

async function serve(address: string, asked: string[], isAnswering: boolean): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => {
    asked.push(address);
    const reply = Buffer.from(message);
    reply[2] = (reply[2] ?? 0) | 0x80;
    if (isAnswering) socket.send(reply, from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  return socket;
}

describe.skipIf(process.getuid?.() !== 0)('createUpstream() (needs root)', () => {
  test('asks one that did not answer after the others for a while, and those that are named now', async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    await createSyncNetlink().apply(ownNetns, [{ op: 'setLink', name: 'lo', up: true }]);
    const asked: string[] = [];
    const sockets = [await serve('127.0.0.2', asked, false), await serve('127.0.0.3', asked, true)];
    const clock = createFakeClock();
    let servers = ['127.0.0.2', '127.0.0.3'];
    const upstream = createUpstream(() => servers, clock);
    const ask = async (): Promise<readonly string[]> => {
      asked.length = 0;
      const reply = upstream.ask(query, 'udp', new AbortController().signal);
      while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
      if (asked[0] === '127.0.0.2') clock.advance(2_000);
      expect((await reply).readUInt16BE(0)).toBe(9);
      return [...asked];
    };
    expect(await ask()).toEqual(['127.0.0.2', '127.0.0.3']);
    expect(await ask()).toEqual(['127.0.0.3']);
    clock.advance(10_000);
    expect(await ask()).toEqual(['127.0.0.2', '127.0.0.3']);
    servers = ['127.0.0.3'];
    expect(await ask()).toEqual(['127.0.0.3']);
    servers = [];
    expect(upstream.isThere()).toBe(false);
    for (const socket of sockets) socket.close();
  });
});
