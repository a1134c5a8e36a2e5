/** Three hosts of one link, each a network namespace of the test's own: `a`, `b` and `c`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NetnsRef } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import type { LinkGiven } from './announcer.conformance.ts';
import { openAnnouncer } from './announcer.linux.ts';

const names = ['a', 'b', 'c'] as const;

export interface KernelLink extends LinkGiven {
  readonly netnsOf: (name: (typeof names)[number]) => NetnsRef & { readonly kind: 'path' };
  /** Pulls the cable of a host, or puts it back. */
  readonly plug: (name: (typeof names)[number], isIn: boolean) => Promise<void>;
}

export async function startLink(): Promise<KernelLink> {
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
  const plug: KernelLink['plug'] = (name, up) => netlink.apply(at('wire'), [{ op: 'setLink', name, up }]);
  return { hosts, netnsOf: at, plug, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
