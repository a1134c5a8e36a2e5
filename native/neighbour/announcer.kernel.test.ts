/** On a bridge between network namespaces: announcers among themselves, and what another host's kernel makes of what they say. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { encodeSocketAddress, inetSocket } from '#native/sys/inet-socket.ts';
import { sendto } from '#native/sys/libc.ts';
import { announcerConformance, type LinkGiven } from './announcer.conformance.ts';
import { openAnnouncer } from './announcer.linux.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const names = ['a', 'b', 'c'] as const;

interface KernelLink extends LinkGiven {
  readonly netnsOf: (name: (typeof names)[number]) => NetnsRef & { readonly kind: 'path' };
}

async function startLink(): Promise<KernelLink> {
  const stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'podwright-link-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const netlink = stack.use(createSyncNetlink());
  const at = (name: string): NetnsRef & { readonly kind: 'path' } => ({
    kind: 'path',
    path: join(directory, name),
  });
  for (const name of ['wire', ...names]) {
    await netlink.createNetns(at(name).path);
    stack.defer(() => netlink.removeNetns(at(name).path));
  }
  await netlink.apply(at('wire'), [
    { op: 'addLink', name: 'link', link: { kind: 'bridge' } },
    { op: 'setLink', name: 'link', up: true },
  ]);
  const hosts: LinkGiven['hosts'][number][] = [];
  for (const [index, name] of names.entries()) {
    const ips = { 4: `192.0.2.${index + 1}`, 6: `fd00::${index + 1}` } as const;
    await netlink.apply(at('wire'), [
      { op: 'addLink', name, link: { kind: 'veth', peerName: 'eth0', peerNetns: at(name) } },
      { op: 'setLink', name, master: 'link', up: true },
    ]);
    await netlink.apply(at(name), [
      { op: 'setSysctl', key: 'net/ipv6/conf/eth0/accept_dad', value: '0' },
      { op: 'setLink', name: 'eth0', up: true },
      { op: 'ensureAddress', name: 'eth0', address: `${ips[4]}/24` },
      { op: 'ensureAddress', name: 'eth0', address: `${ips[6]}/64` },
      { op: 'ensureRoute', destination: '203.0.113.0/24', dev: 'eth0' },
      { op: 'ensureRoute', destination: 'fd00:9::/64', dev: 'eth0' },
    ]);
    const { links } = await netlink.state(at(name));
    const own = links.find((link) => link.name === 'eth0');
    hosts.push({
      link: { index: own?.index ?? 0, mac: own?.mac ?? '', ips },
      open: (options) => openAnnouncer({ ...options, netns: at(name).path }),
    });
  }
  return { hosts, netnsOf: at, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

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
