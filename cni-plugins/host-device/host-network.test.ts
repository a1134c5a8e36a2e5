import { describe, expect, test } from 'vitest';
import type { CniInvoker } from '#api/cni/invocation.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ownNetns, type NetOp } from '#native/netlink/netlink.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { createInvoker } from '#cni-plugins/registry.ts';
import { hostNetworkOf, planHostNetwork, planHostRules, resultOfHost } from './host-network.ts';

const netns = '/run/netns/c1';
const container = { kind: 'path', path: netns } as const;
const route = { gateway: undefined, linkIndex: 2, protocol: 3, scope: 0 };
const link = { index: 2, name: 'ens5', kind: undefined, mac: '02:00:00:00:00:05', mtu: 9001 };
const host = {
  links: [{ ...link, isUp: true, master: undefined, peerIndex: undefined }],
  addresses: [
    { linkIndex: 2, address: '10.0.1.7/24' },
    { linkIndex: 2, address: 'fd00::7/64' },
    { linkIndex: 2, address: '2001:db8::7/64', isTemporary: true as const },
    { linkIndex: 2, address: 'fe80::7/64', scope: 253 },
    { linkIndex: 2, address: '169.254.1.1/16', scope: 253 },
    { linkIndex: 3, address: '192.0.2.7/24' },
  ],
  routes: [
    {
      ...route,
      destination: 'default',
      gateway: '10.0.1.1',
      protocol: 16,
      priority: 512,
      source: '10.0.1.7',
    },
    { ...route, destination: '10.0.1.1/32', scope: 253, protocol: 16, priority: 512 },
    { ...route, destination: '10.0.1.0/24', scope: 253, protocol: 2 },
    { ...route, destination: 'default', gateway: 'fe80::1', protocol: 9, priority: 100 },
    { ...route, destination: 'fe80::/64', protocol: 3 },
    { ...route, destination: '192.0.2.0/24', linkIndex: 3 },
  ],
};
const policy = {
  rules: [
    { source: '10.0.1.7/32', table: 1000 },
    { source: '10.0.0.0/8', table: 2000 },
    { source: '192.0.2.7/32', table: 1000 },
  ],
  routes: [{ ...route, destination: 'default', gateway: '10.0.1.1', table: 1000, isOnLink: true as const }],
};

describe('what a link has on the host', () => {
  const network = hostNetworkOf(2, host, policy);

  test('is what stays, what no router and no kernel makes anew, and rules for these', () => {
    expect([...planHostNetwork('eth0', network), ...planHostRules(network)].map(renderNetOp)).toEqual([
      'ensure address 10.0.1.7/24 dev eth0',
      'ensure address fd00::7/64 dev eth0',
      expect.stringContaining('ensure route 10.0.1.1/32 dev eth0 scope link'),
      expect.stringMatching(/ensure route default via 10\.0\.1\.1 dev eth0 .*src 10\.0\.1\.7/),
      expect.stringMatching(/ensure route default via 10\.0\.1\.1 dev eth0 .*table 1000/),
      'ensure rule from 10.0.1.7/32 table 1000',
    ]);
  });

  test('is in the result', () => {
    expect(resultOfHost(network)).toEqual({
      ips: [{ address: '10.0.1.7/24' }, { address: 'fd00::7/64' }],
      routes: [
        { dst: '10.0.1.1/32', priority: 512, scope: 253 },
        { dst: '0.0.0.0/0', gw: '10.0.1.1', priority: 512 },
        { dst: '0.0.0.0/0', gw: '10.0.1.1', table: 1000 },
      ],
    });
  });
});

describe('host-device with useInterfaceNetwork', () => {
  const signal = new AbortController().signal;

  async function open(): Promise<{ netlink: ReturnType<typeof createFakeNetlink>; invoke: CniInvoker }> {
    const netlink = createFakeNetlink();
    await netlink.createNetns(netns);
    await netlink.apply(ownNetns, [
      { op: 'addLink', name: 'ens5', link: { kind: 'dummy' } },
      { op: 'setLink', name: 'ens5', up: true },
      { op: 'ensureAddress', name: 'ens5', address: '10.0.1.7/24' },
      { op: 'ensureRoute', destination: '10.8.0.0/16', gateway: '10.0.1.1', dev: 'ens5', priority: 100 },
      { op: 'ensureRoute', destination: 'default', gateway: '10.0.1.1', dev: 'ens5', table: 1000 },
      { op: 'ensureRule', source: '10.0.1.7/32', table: 1000 },
    ]);
    return { netlink, invoke: createInvoker({ netlink, nft: createFakeNft() }) };
  }

  const call = (command: 'ADD' | 'CHECK' | 'DEL', more: JsonObject = {}): Parameters<CniInvoker>[1] => ({
    command,
    containerId: 'c1',
    netns,
    ifname: 'eth0',
    args: {},
    path: [],
    config: {
      cniVersion: '1.1.0',
      name: 'net',
      type: 'host-device',
      device: 'ens5',
      useInterfaceNetwork: true,
      ...more,
    },
  });

  test.each<[name: string, more: JsonObject, ips: readonly string[]]>([
    ['alone', {}, ['10.0.1.7/24']],
    [
      'beside IPAM',
      { ipam: { type: 'static', addresses: [{ address: '10.10.0.9/24' }] } },
      ['10.0.1.7/24', '10.10.0.9/24'],
    ],
  ])(
    '%s: the container has what the host had; CHECK sees it, DEL gives the link back',
    async (_name, more, ips) => {
      const { netlink, invoke } = await open();
      const result = await invoke('host-device', call('ADD', more), signal);
      const { addresses, routes } = await netlink.state(container);
      expect(addresses.map(({ address }) => address).filter((text) => ips.includes(text))).toEqual(ips);
      expect(routes).toContainEqual(
        expect.objectContaining({ destination: '10.8.0.0/16', gateway: '10.0.1.1', priority: 100 }),
      );
      expect((await netlink.policy(container)).rules).toEqual([{ source: '10.0.1.7/32', table: 1000 }]);
      expect(result).toMatchObject({ ips: ips.map((address) => ({ address, interface: 0 })) });
      await invoke('host-device', call('CHECK', { ...more, prevResult: result }), signal);
      await netlink.apply(container, [{ op: 'removeAddress', name: 'eth0', address: '10.0.1.7/24' }]);
      await expect(
        invoke('host-device', call('CHECK', { ...more, prevResult: result }), signal),
      ).rejects.toThrow('10.0.1.7/24 is missing');
      await invoke('host-device', call('DEL', { ...more, prevResult: result }), signal);
      expect((await netlink.state(ownNetns)).links.map(({ name }) => name)).toContain('ens5');
    },
  );

  test('an ADD that fails leaves the link as it was, with its addresses and routes', async () => {
    const { netlink, invoke } = await open();
    const before = await netlink.state(ownNetns);
    const wrong: NetOp = { op: 'addLink', name: 'eth0', link: { kind: 'dummy' } };
    await netlink.apply(container, [wrong]);
    await expect(invoke('host-device', call('ADD'), signal)).rejects.toThrow('eth0');
    await netlink.apply(container, [{ op: 'removeLink', name: 'eth0' }]);
    const ipam = {
      type: 'static',
      addresses: [{ address: '10.1.0.9/24' }],
      routes: [{ dst: '10.7.0.0/16', gw: '192.0.2.9' }],
    };
    await expect(invoke('host-device', call('ADD', { ipam }), signal)).rejects.toThrow('10.7.0.0/16');
    const after = await netlink.state(ownNetns);
    const shown = ({ links, addresses, routes }: typeof before): unknown => ({
      links: links.map(({ name, isUp, alias }) => ({ name, isUp, alias: alias || undefined })),
      addresses: addresses.map(({ address }) => address).toSorted(),
      routes: routes
        .map(({ destination, gateway, priority }) => `${destination} ${gateway} ${priority}`)
        .toSorted(),
    });
    expect(shown(after)).toEqual(shown(before));
  });
});
