import { expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { createInvoker } from '#cni-plugins/registry.ts';
import { refusedSysctl } from './tuning.ts';

test.each([
  { name: 'without a list all may be set', list: undefined, want: undefined },
  { name: 'an empty list allows none', list: '\n', want: 'net.core.somaxconn' },
  { name: 'each name needs a line', list: '^net\\.core\\.', want: 'net.ipv4.ip_forward' },
  { name: 'lines are expressions', list: '^net\\.core\\.\n\n^net\\.ipv4\\.ip_', want: undefined },
])('allowlist.conf: $name', ({ list, want }) => {
  expect(refusedSysctl(['net.core.somaxconn', 'net.ipv4.ip_forward'], list)).toBe(want);
});

test('allowlist.conf: a line that is no expression is said', () => {
  expect(() => refusedSysctl(['net.core.somaxconn'], '*')).toThrow(/allowlist.conf: \*/);
});

const dataDir = scratchDirectory('tuning');

const netns = '/run/netns/tuned';
const given = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'tuning',
  dataDir,
  prevResult: { cniVersion: '1.1.0', interfaces: [{ name: 'eth0', sandbox: netns }], ips: [] },
};
const low = 'net.ipv4.ip_unprivileged_port_start';
const range = 'net.ipv4.ip_local_port_range';

test.each<{ name: string; config: JsonObject; args?: string; link?: object; sysctls?: readonly string[] }>([
  {
    name: 'args.cni goes before the network',
    config: {
      ...{ mtu: 1400, sysctl: { [low]: '1', [range]: '1000 2000' } },
      args: { cni: { mtu: 1300, promisc: true, allmulti: true, sysctl: { [low]: '80' } } },
    },
    link: { mtu: 1300, isPromiscuous: true, isAllMulticast: true },
    sysctls: ['80', '1000 2000'],
  },
  {
    name: 'args.cni alone',
    config: { args: { cni: { sysctl: { [low]: '80' } } } },
    sysctls: ['80'],
  },
  {
    name: 'the hardware address of args.cni goes before the capability',
    config: {
      runtimeConfig: { mac: '0a:00:00:00:00:01' },
      args: { cni: { mac: '0a:00:00:00:00:02' } },
    },
    args: '0a:00:00:00:00:03',
    link: { mac: '0a:00:00:00:00:02' },
  },
  {
    name: 'the capability goes before CNI_ARGS',
    config: { runtimeConfig: { mac: '0a:00:00:00:00:01' } },
    args: '0a:00:00:00:00:03',
    link: { mac: '0a:00:00:00:00:01' },
  },
])('$name', async ({ config, args, link = {}, sysctls = [] }) => {
  const netlink = createFakeNetlink();
  await netlink.createNetns(netns);
  const container = { kind: 'path', path: netns } as const;
  await netlink.apply(container, [{ op: 'addLink', name: 'eth0', link: { kind: 'dummy' } }]);
  const invoke = createInvoker({ netlink, nft: createFakeNft() });
  const call = (command: 'ADD' | 'CHECK' | 'DEL') =>
    invoke(
      'tuning',
      {
        ...{ command, containerId: 'c1', netns, ifname: 'eth0', path: [] },
        args: args === undefined ? {} : { MAC: args },
        config: { ...given, ...config },
      },
      AbortSignal.timeout(50_000),
    );
  await call('ADD');
  expect((await netlink.state(container)).links.find(({ name }) => name === 'eth0')).toMatchObject(link);
  expect(await netlink.sysctls(container, [low, range].slice(0, sysctls.length))).toEqual(sysctls);
  await call('CHECK');
  if (sysctls.length > 0) {
    await netlink.apply(container, [{ op: 'setSysctl', key: low, value: '81' }]);
    await expect(call('CHECK')).rejects.toThrow('ip_unprivileged_port_start is 81, not 80');
  }
  await call('DEL');
});
