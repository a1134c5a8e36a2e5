/** Network namespaces on a bridge: two servers that have an address in common, and who asks for it. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { startLink, type KernelLink } from '#native/neighbour/link.fixture.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { inetSocket } from '#native/sys/inet-socket.ts';
import { startVirtualAddress, virtualTableRef } from './virtual-address.ts';

const port = 6443;

/** What answers at an address, asked from the third host: the name that its server says. Programs may take their time to start. */
function whoAnswers(link: KernelLink, address: string): Promise<string> {
  const connect = `exec 3<>/dev/tcp/${address}/${port} && head -c1 <&3`;
  const args = [`--net=${link.netnsOf('c').path}`, 'timeout', '5', 'bash', '-c', connect];
  return new Promise((resolve) => {
    execFile('nsenter', args, (error, stdout) => resolve(error === null ? stdout : ''));
  });
}

/** A connection of the third host that says something all the time, as agents do: resolves with the server's name once it is broken. */
function keepSaying(link: KernelLink, address: string, stack: AsyncDisposableStack): Promise<string> {
  const say = `exec 3<>/dev/tcp/${address}/${port} && head -c1 <&3 && while echo x >&3; do sleep 0.1; done`;
  const args = [`--net=${link.netnsOf('c').path}`, 'bash', '-c', say];
  return new Promise((resolve) => {
    const child = execFile('nsenter', args, (_, stdout) => resolve(stdout));
    stack.defer(() => void child.kill('SIGKILL'));
  });
}

describe.skipIf(process.getuid?.() !== 0)('two servers on a link', () => {
  test.each([
    [4, '192.0.2.100'],
    [6, 'fd00::100'],
  ] as const)('IPv%d: one answers, the other once it is gone', async (family, address) => {
    await using stack = new AsyncDisposableStack();

    const link = stack.use(await startLink());
    const nft = createSyncNft();
    const client = createFakeApiClient(systemClock);
    const heard = new Set<string>();
    for (const [index, name] of (['a', 'b'] as const).entries()) {
      const { [index]: host } = link.hosts;
      const netns = link.netnsOf(name);
      const ip = host?.link.ips[family] ?? '';
      const fd = inetSocket({ kind: 'stream', family, netns: netns.path, bind: { ip, port } }).takeFd();
      const server = createServer((socket) => {
        stack.defer(() => void socket.destroy());
        socket.on('error', () => undefined).write(name);
      });
      await new Promise<void>((resolve) => server.listen({ fd }, resolve));
      stack.defer(() => void server.close());
      stack.use(
        startVirtualAddress({
          ...{ identity: name, addresses: [address], port, own: { [family]: ip }, client },
          open: async (events) => {
            if (host === undefined) throw new Error('no host');
            const onHeard: typeof events.onHeard = (claim) => {
              heard.add(name);
              events.onHeard(claim);
            };
            return host.open({ link: host.link, ...events, onHeard });
          },
          nft: { commit: (_, ops) => nft.commit(netns, ops) },
          clock: systemClock,
          log: silentLogger,
        }),
      );
      await expect.poll(() => whoAnswers(link, address)).toBe('a');
    }
    // Only a holder that was heard can be found silent.
    await expect.poll(() => heard.has('b')).toBe(true);
    const before = keepSaying(link, address, stack);
    await expect.poll(() => whoAnswers(link, address)).toBe('a');
    await link.plug('a', false);
    // A second after it is gone: `announce.test.ts` says so of a clock of its own.
    await expect.poll(() => whoAnswers(link, address)).toBe('b');
    // What was connected to the other is told so by this one, not by a time that runs out.
    expect(await before).toBe('a');
    await link.plug('a', true);
    const nobody = (): Promise<number> => nft.ruleCount(link.netnsOf('a'), virtualTableRef(family));
    await expect.poll(nobody, { timeout: 15_000 }).toBe(0);
    expect(await whoAnswers(link, address)).toBe('b');
  });
});
