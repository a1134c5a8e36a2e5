/** On a bridge between network namespaces: announcers among themselves, and what another host's kernel makes of what they say. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeSocketAddress, inetSocket } from '#native/sys/inet-socket.ts';
import { sendto } from '#native/sys/libc.ts';
import { announcerConformance } from './announcer.conformance.ts';
import { startLink, type KernelLink } from './link.fixture.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
describe.skipIf(!isRoot)('of the kernel', () => {
  announcerConformance('packet sockets', startLink);

  describe('a host of the link', () => {
    let link: KernelLink;
    beforeAll(async () => void (link = await startLink()));
    afterAll(() => link[Symbol.asyncDispose]());

    test.each([
      [4, '203.0.113.7'],
      [6, 'fd00:9::7'],
    ] as const)('IPv%d: asks who has an address, and follows it to another', async (family, address) => {
      const [first, second] = link.hosts;
      if (first === undefined || second === undefined) throw new Error('no hosts');
      const client = link.netnsOf('c');
      const learnt = async (): Promise<string | undefined> => {
        using socket = inetSocket({ kind: 'datagram', family, netns: client.path });
        const to = encodeSocketAddress({ ip: address, port: 9 });
        sendto(socket.fd, Buffer.of(1), 1, 0, to, to.length);
        const shown = ['ip', 'neigh', 'show', 'to', address];
        const { stdout } = await run('nsenter', [`--net=${client.path}`, ...shown]);
        return /lladdr (\S+)/.exec(stdout)?.[1];
      };
      const open = async ({ link: own, open: openOne }: (typeof link.hosts)[number]) =>
        openOne({ link: own, onHeard: () => undefined });
      const holder = await open(first);
      holder.setAnswered(new Set([address]));
      await expect.poll(learnt).toBe(first.link.mac);
      await holder[Symbol.asyncDispose]();
      await using next = await open(second);
      next.setAnswered(new Set([address]));
      next.announce(address);
      await expect.poll(learnt).toBe(second.link.mac);
    });
  });
});
