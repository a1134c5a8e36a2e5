import { describe, expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { ownNetns, type NetOp } from '#native/netlink/netlink.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { createInvoker } from '#cni-plugins/registry.ts';

const netns = '/run/netns/c1';
const container = { kind: 'path', path: netns } as const;
const { signal } = new AbortController();
const rename = { op: 'setLink', name: 'net1', rename: 'port0' } as const;
const other: NetOp = { op: 'addLink', name: 'net1', link: { kind: 'dummy' } };
const mac = '02:00:00:00:00:07';

describe('a link that its container has renamed', () => {
  test.each<readonly [name: string, config: JsonObject, ops: readonly NetOp[], isBack: boolean]>([
    ['goes back by the device of the configuration', { device: 'ens5' }, [rename], true],
    ['goes back where another link has its name now', { device: 'ens5' }, [rename, other], true],
    ['goes back by the hardware address of the configuration', { hwaddr: mac.toUpperCase() }, [rename], true],
    [
      'stays where two say that they are it',
      { device: 'ens5' },
      [
        rename,
        other,
        { op: 'setLink', name: 'net1', rename: 'x' },
        { op: 'setLink', name: 'x', alias: 'ens5' },
      ],
      false,
    ],
    [
      'stays where nothing says that it is it',
      { device: 'ens5' },
      [rename, { op: 'setLink', name: 'port0', alias: 'ens9' }],
      false,
    ],
  ])('%s', async (_name, config, ops, isBack) => {
    const netlink = createFakeNetlink();
    await netlink.createNetns(netns);
    await netlink.apply(ownNetns, [
      { op: 'addLink', name: 'ens5', link: { kind: 'dummy' } },
      { op: 'setLink', name: 'ens5', mac },
    ]);
    const invoke = createInvoker({ netlink, nft: createFakeNft() });
    const call = (command: 'ADD' | 'DEL', more: JsonObject = {}) => ({
      ...{ command, containerId: 'c1', netns, ifname: 'net1', args: {}, path: [] },
      config: { cniVersion: '1.1.0', name: 'net', type: 'host-device', ...config, ...more },
    });
    const prevResult = await invoke('host-device', call('ADD'), signal);
    await netlink.apply(container, ops);
    await invoke('host-device', call('DEL', { prevResult }), signal);
    await invoke('host-device', call('DEL', { prevResult }), signal);
    const names = (await netlink.state(ownNetns)).links.map(({ name }) => name);
    expect(names.includes('ens5')).toBe(isBack);
    expect(names).not.toContain('net1');
  });
});
