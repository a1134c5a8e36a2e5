/** ingressPolicy: which containers of the host reach which. By packets, in namespaces of the test's own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createInvoker } from '#cni-plugins/registry.ts';

/** What stays on a bridge is shown to iptables by br_netfilter alone. */
const shownFile = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const canRun =
  process.getuid?.() === 0 &&
  ['/usr/sbin/iptables', '/usr/bin/nsenter', '/bin/busybox', shownFile].every((path) => existsSync(path));
const netlink = createSyncNetlink();
const invoke = createInvoker({ netlink, nft: createSyncNft() });
const { signal } = new AbortController(); // The deadline is that of each test.

const addresses = { one: '10.1.0.2', two: '10.1.0.3', far: '10.2.0.2' } as const;
type Name = keyof typeof addresses;
const names = Object.keys(addresses) as readonly Name[];
const netnsOf = (name: Name): string => `/run/netns/podwright-ingress-${process.pid}-${name}`;
const bridgeOf = (name: Name): string => (name === 'far' ? 'br2' : 'br1');
const gatewayOf = (name: Name): string => addresses[name].replace(/\d+$/, '1');

const reaches = (from: Name, address: string): boolean =>
  spawnSync('nsenter', [`--net=${netnsOf(from)}`, '/bin/busybox', 'ping', '-c1', '-W1', address]).status ===
  0;

describe.skipIf(!canRun)('ingressPolicy of firewall (needs root, iptables, br_netfilter, busybox)', () => {
  const results = new Map<Name, JsonObject | undefined>();
  const call = (
    command: 'ADD' | 'CHECK' | 'DEL',
    name: Name,
    config: JsonObject & { readonly type: string },
  ) =>
    ({
      ...{
        command,
        containerId: basename(netnsOf(name)),
        netns: netnsOf(name),
        ifname: 'eth0',
        args: {},
        path: [],
      },
      config: { cniVersion: '1.0.0', name: 'net', ...config },
    }) as const;

  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    execFileSync('sysctl', ['-qw', 'net.bridge.bridge-nf-call-iptables=1', 'net.ipv4.ip_forward=1']);
    for (const name of names) {
      await netlink.createNetns(netnsOf(name));
      const ipam = {
        type: 'static',
        addresses: [{ address: `${addresses[name]}/24`, gateway: gatewayOf(name) }],
        routes: [{ dst: '0.0.0.0/0' }],
      };
      const bridge = { type: 'bridge', bridge: bridgeOf(name), isGateway: true, ipam };
      results.set(name, await invoke('bridge', call('ADD', name, bridge), signal));
    }
  });
  afterAll(async () => {
    for (const name of names) await netlink.removeNetns(netnsOf(name));
  });

  test.each([
    { policy: 'open', reached: ['two', 'far'] },
    { policy: 'same-bridge', reached: ['two'] },
    { policy: 'isolated', reached: [] },
  ] as const)('$policy: one reaches $reached, and the host always', async ({ policy, reached }) => {
    const config = (name: Name) => ({
      type: 'firewall',
      ingressPolicy: policy,
      prevResult: results.get(name),
    });
    for (const name of names) {
      await invoke('firewall', call('ADD', name, config(name)), signal);
      await invoke('firewall', call('CHECK', name, config(name)), signal);
    }
    const others = (['two', 'far'] as const).filter((name) => reaches('one', addresses[name]));
    expect(others).toEqual(reached);
    expect(reaches('one', gatewayOf('one'))).toBe(true);
    for (const name of names) await invoke('firewall', call('DEL', name, config(name)), signal);
    // What keeps bridges apart is of all containers, and stays.
    execFileSync('iptables', ['-F']);
  });
});
