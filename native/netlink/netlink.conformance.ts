import { describe, expect, it } from 'vitest';
import { errnoOf } from '#base/errors.ts';
import type { LinkInfo, NetEvent, Netlink, NetnsRef, NetOp } from './netlink.ts';

export interface NetlinkGiven extends AsyncDisposable {
  readonly netlink: Netlink;
  /** A path at which no namespace is; what is made there is removed at the end. */
  newPath(): string;
}

const code = (value: string): unknown => expect.objectContaining({ code: value });

const addBridge: Extract<NetOp, { op: 'addLink' }> = { op: 'addLink', name: 'br0', link: { kind: 'bridge' } };

/** What every Netlink must do. */
export function proveNetlink(name: string, open: () => Promise<NetlinkGiven>): void {
  describe(`${name} satisfies the netlink port`, () => {
    async function openNetns() {
      const given = await open();
      const netns = { kind: 'path', path: given.newPath() } as const;
      await given.netlink.createNetns(netns.path);
      const apply = (...ops: readonly NetOp[]): Promise<void> => given.netlink.apply(netns, ops);
      const link = async (linkName: string, where: NetnsRef = netns): Promise<LinkInfo | undefined> =>
        (await given.netlink.state(where)).links.find((info) => info.name === linkName);
      const routes = async (): Promise<readonly string[]> =>
        (await given.netlink.state(netns)).routes
          .filter((route) => !route.destination.includes(':') && route.gateway?.includes(':') !== true)
          .map((route) => `${route.destination} ${route.gateway ?? 'direct'} ${route.protocol}`)
          .sort();
      return {
        ...given,
        netns,
        apply,
        link,
        routes,
        [Symbol.asyncDispose]: () => given[Symbol.asyncDispose](),
      };
    }

    it('createNetns() makes a namespace with lo down, once', async () => {
      await using given = await openNetns();

      const { netlink, netns } = given;
      expect((await netlink.state(netns)).links).toMatchObject([{ name: 'lo', index: 1, isUp: false }]);
      await expect(netlink.createNetns(netns.path)).rejects.toEqual(code('E_EXISTS'));
    });

    it('removeNetns() succeeds if gone, and the path can be used again', async () => {
      await using given = await openNetns();

      const { netlink, netns } = given;
      await netlink.removeNetns(netns.path);
      await netlink.removeNetns(netns.path);
      await expect(netlink.state(netns)).rejects.toEqual(code('E_NOT_FOUND'));
      await expect(netlink.apply(netns, [])).rejects.toEqual(code('E_NOT_FOUND'));
      await netlink.createNetns(netns.path);
    });

    it('addLink() of a bridge: settings hold, twice is E_EXISTS', async () => {
      await using given = await openNetns();

      await given.apply({ ...addBridge, mtu: 1400, mac: '0a:58:0a:00:00:01' });
      expect(await given.link('br0')).toMatchObject({
        kind: 'bridge',
        mtu: 1400,
        mac: '0a:58:0a:00:00:01',
        isUp: false,
      });
      await expect(given.apply(addBridge)).rejects.toMatchObject({
        code: 'E_EXISTS',
        detail: { index: 0, op: 'addLink', errno: 'EEXIST' },
      });
    });

    it('apply() stops at the first failure and keeps what came before', async () => {
      await using given = await openNetns();

      const attempt = given.apply(
        addBridge,
        { op: 'setLink', name: 'nope', up: true },
        { op: 'setLink', name: 'br0', up: true },
      );
      await expect(attempt).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
        detail: { index: 1, op: 'setLink' },
      });
      expect(await given.link('br0')).toMatchObject({ isUp: false });
    });

    it('applyAll() goes through namespaces in order, and stops at the first failure', async () => {
      await using given = await openNetns();

      const pod = { kind: 'path', path: given.newPath() } as const;
      await given.netlink.createNetns(pod.path);
      const link = { kind: 'veth', peerName: 'eth0', peerNetns: pod } as const;
      await given.netlink.applyAll([
        { netns: given.netns, ops: [{ op: 'addLink', name: 'v0', link }] },
        { netns: pod, ops: [{ op: 'setLink', name: 'eth0', up: true }] },
      ]);
      expect(await given.link('eth0', pod)).toMatchObject({ isUp: true });
      const attempt = given.netlink.applyAll([
        { netns: given.netns, ops: [{ op: 'setLink', name: 'v0', up: true }] },
        { netns: pod, ops: [addBridge, { op: 'setLink', name: 'nope', up: true }] },
        { netns: given.netns, ops: [addBridge] },
      ]);
      await expect(attempt).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
        detail: { index: 1, op: 'setLink' },
      });
      expect(await given.link('v0')).toMatchObject({ isUp: true });
      expect(await given.link('br0', pod)).toBeDefined();
      expect(await given.link('br0')).toBeUndefined();
      const nowhere = { kind: 'path', path: given.newPath() } as const;
      const missing = given.netlink.applyAll([
        { netns: given.netns, ops: [addBridge] },
        { netns: nowhere, ops: [] },
      ]);
      await expect(missing).rejects.toEqual(code('E_NOT_FOUND'));
      expect(await given.link('br0')).toBeDefined();
    });

    it('ensureLink() makes, keeps, corrects, and refuses another kind', async () => {
      await using given = await openNetns();

      await given.apply({ op: 'ensureLink', name: 'br0', link: { kind: 'bridge' } });
      const before = await given.link('br0');
      await given.apply({ op: 'ensureLink', name: 'br0', link: { kind: 'bridge' }, mtu: 1300 });
      expect(await given.link('br0')).toEqual({ ...before, mtu: 1300 });
      const veth: NetOp = { op: 'ensureLink', name: 'br0', link: { kind: 'veth', peerName: 'p' } };
      await expect(given.apply(veth)).rejects.toEqual(code('E_EXISTS'));
    });

    it('a veth into another namespace: both ends know each other, and go together', async () => {
      await using given = await openNetns();

      const pod = { kind: 'path', path: given.newPath() } as const;
      await given.netlink.createNetns(pod.path);
      const link = { kind: 'veth', peerName: 'eth0', peerNetns: pod, peerMac: '0a:58:0a:00:00:02' } as const;
      await given.apply({ op: 'addLink', name: 'v0', link, mtu: 1450 });
      const [host, peer] = [await given.link('v0'), await given.link('eth0', pod)];
      expect(host).toMatchObject({ kind: 'veth', mtu: 1450, peerIndex: peer?.index });
      expect(peer).toMatchObject({
        kind: 'veth',
        mtu: 1450,
        peerIndex: host?.index,
        mac: '0a:58:0a:00:00:02',
      });
      await expect(given.apply({ op: 'addLink', name: 'v1', link })).rejects.toEqual(code('E_EXISTS'));
      expect(await given.link('v1')).toBeUndefined();
      await given.apply({ op: 'removeLink', name: 'v0' }, { op: 'removeLink', name: 'v0' });
      expect(await given.link('eth0', pod)).toBeUndefined();
    });

    it('setLink(): master, no master, rename, up and down', async () => {
      await using given = await openNetns();

      await given.apply(addBridge, { op: 'addLink', name: 'v0', link: { kind: 'veth', peerName: 'v1' } });
      await given.apply({
        op: 'setLink',
        name: 'v0',
        master: 'br0',
        up: true,
        alias: 'pod',
        promiscuous: true,
      });
      const bridge = await given.link('br0');
      expect(await given.link('v0')).toMatchObject({ master: bridge?.index, isUp: true });
      await given.apply({ op: 'setBridgePort', name: 'v0', hairpin: true, isolated: true });
      await given.apply({ op: 'setLink', name: 'v0', master: null, up: false });
      await given.apply({ op: 'setLink', name: 'v0', rename: 'w0', mtu: 1200, mac: '0A:00:00:00:00:09' });
      const renamed = await given.link('w0');
      expect(renamed).toMatchObject({ isUp: false, mtu: 1200, mac: '0a:00:00:00:00:09', master: undefined });
      expect(await given.link('v0')).toBeUndefined();
      const taken = given.apply({ op: 'setLink', name: 'w0', rename: 'v1' });
      await expect(taken).rejects.toEqual(code('E_EXISTS'));
    });

    it('setLink(): moved to another namespace under a new name', async () => {
      await using given = await openNetns();

      const pod = { kind: 'path', path: given.newPath() } as const;
      await given.netlink.createNetns(pod.path);
      await given.apply({ op: 'addLink', name: 'v0', link: { kind: 'veth', peerName: 'v1' } });
      await given.apply({ op: 'setLink', name: 'v1', moveTo: pod, rename: 'eth0', up: true });
      expect(await given.link('v1')).toBeUndefined();
      expect(await given.link('eth0', pod)).toMatchObject({ isUp: true, kind: 'veth' });
      await given.netlink.removeNetns(pod.path);
    });

    it('setBridgePort() is refused where the link is no port', async () => {
      await using given = await openNetns();

      await given.apply(addBridge);
      const attempt = given.apply({ op: 'setBridgePort', name: 'br0', hairpin: true });
      await expect(attempt.catch(errnoOf)).resolves.toBe('EOPNOTSUPP');
    });

    it('addresses: ensured twice, listed, removed twice', async () => {
      await using given = await openNetns();

      const ops: NetOp[] = [addBridge, { op: 'ensureAddress', name: 'br0', address: '10.77.0.1/16' }];
      await given.apply(...ops, { op: 'ensureAddress', name: 'br0', address: '10.77.0.1/16' });
      await given.apply({ op: 'ensureAddress', name: 'br0', address: 'fd00:77::1/64' });
      const index = (await given.link('br0'))?.index;
      const mine = async () =>
        (await given.netlink.state(given.netns)).addresses.filter((entry) => entry.linkIndex === index);
      expect(await mine()).toEqual([
        { linkIndex: index, address: '10.77.0.1/16' },
        { linkIndex: index, address: 'fd00:77::1/64' },
      ]);
      const removal: NetOp = { op: 'removeAddress', name: 'br0', address: '10.77.0.1/16' };
      await given.apply(removal, removal, { ...removal, name: 'gone' });
      expect(await mine()).toHaveLength(1);
      const nowhere = given.apply({ op: 'ensureAddress', name: 'gone', address: '10.0.0.1/24' });
      await expect(nowhere).rejects.toEqual(code('E_NOT_FOUND'));
    });

    it('routes: connected, ensured, replaced, removed', async () => {
      await using given = await openNetns();

      await given.apply(
        addBridge,
        { op: 'ensureAddress', name: 'br0', address: '10.77.0.1/16' },
        { op: 'setLink', name: 'br0', up: true },
      );
      expect(await given.routes()).toEqual(['10.77.0.0/16 direct 2']);
      await given.apply(
        { op: 'ensureRoute', destination: 'default', gateway: '10.77.0.254' },
        { op: 'ensureRoute', destination: '10.78.0.5/24', gateway: '10.77.0.2' },
        { op: 'ensureRoute', destination: '10.78.0.0/24', gateway: '10.77.0.3', protocol: 4, mtu: 1400 },
        { op: 'ensureRoute', destination: '10.79.0.0/24', dev: 'br0', source: '10.77.0.1' },
        { op: 'ensureRoute', destination: '10.80.0.0/24', type: 'blackhole' },
      );
      expect(await given.routes()).toEqual([
        '10.77.0.0/16 direct 2',
        '10.78.0.0/24 10.77.0.3 4',
        '10.79.0.0/24 direct 112',
        '10.80.0.0/24 direct 112',
        'default 10.77.0.254 112',
      ]);
      const removal: NetOp = { op: 'removeRoute', destination: '10.78.0.0/24' };
      await given.apply({ ...removal, gateway: '10.77.0.9' }, { ...removal, dev: 'gone' });
      expect(await given.routes()).toHaveLength(5);
      await given.apply({ ...removal, gateway: '10.77.0.3' }, removal);
      expect(await given.routes()).toHaveLength(4);
    });

    it('a route that refuses and one that leads take the place of each other', async () => {
      await using given = await openNetns();

      await given.apply(
        addBridge,
        { op: 'setLink', name: 'lo', up: true },
        { op: 'ensureAddress', name: 'br0', address: '10.77.0.1/16' },
        { op: 'ensureAddress', name: 'br0', address: 'fd00:77::1/64' },
        { op: 'setLink', name: 'br0', up: true },
      );
      for (const [destination, gateway] of [
        ['10.78.0.0/24', '10.77.0.2'],
        ['fd00:78::/64', 'fd00:77::2'],
      ] as const) {
        const there = async () =>
          (await given.netlink.state(given.netns)).routes
            .filter((route) => route.destination === destination)
            .map((route) => route.gateway ?? (route.isUnreachable === true ? 'refused' : 'direct'));
        const lead: NetOp = { op: 'ensureRoute', destination, gateway };
        const refuse: NetOp = { op: 'ensureRoute', destination, type: 'unreachable' };
        await given.apply(lead, refuse, { op: 'removeRoute', destination, gateway });
        expect(await there()).toEqual(['refused']);
        await given.apply(lead);
        expect(await there()).toEqual([gateway]);
        await given.apply(refuse, { op: 'removeRoute', destination });
        expect(await there()).toEqual([]);
      }
    });

    it('a route by an unreachable gateway, or a link that is down, is refused', async () => {
      await using given = await openNetns();

      await given.apply(addBridge);
      const unreachable = given.apply({ op: 'ensureRoute', destination: '10.1.0.0/16', gateway: '10.9.9.9' });
      await expect(unreachable.catch(errnoOf)).resolves.toBe('ENETUNREACH');
      const down = given.apply({ op: 'ensureRoute', destination: '10.1.0.0/16', dev: 'br0' });
      await expect(down.catch(errnoOf)).resolves.toBe('ENETDOWN');
    });

    it.each<{ readonly name: string; readonly op: NetOp }>([
      { name: 'a long link name', op: { op: 'setLink', name: 'x'.repeat(16), up: true } },
      { name: 'no address', op: { op: 'ensureAddress', name: 'lo', address: '10.0.0.300/8' } },
      { name: 'no MAC', op: { op: 'setLink', name: 'lo', mac: '0a:58' } },
      { name: 'mixed families', op: { op: 'ensureRoute', destination: 'fd00::/64', gateway: '10.0.0.1' } },
      { name: 'a sysctl of the machine', op: { op: 'setSysctl', key: 'kernel.hostname', value: 'x' } },
      {
        name: 'a sysctl that climbs out',
        op: { op: 'setSysctl', key: 'net/../kernel/hostname', value: 'x' },
      },
    ])('refuses $name', async ({ op }) => {
      await using given = await openNetns();

      await expect(given.apply(op)).rejects.toMatchObject({ code: 'E_INVALID', detail: { index: 0 } });
    });

    it('setSysctl() takes keys with dots and with slashes, and sysctls() tells what is there', async () => {
      await using given = await openNetns();

      await given.apply(
        { op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' },
        { op: 'setSysctl', key: 'net/ipv4/conf/lo/forwarding', value: '0' },
        { op: 'setSysctl', key: 'net/ipv6/conf/none/accept_ra', value: '0', isOptional: true },
      );
      const keys = ['net/ipv4/conf/lo/forwarding', 'net.ipv4.ip_forward', 'net.ipv4.none'];
      expect(await given.netlink.sysctls(given.netns, keys)).toEqual(['0', '1', undefined]);
      await expect(given.netlink.sysctls(given.netns, ['kernel.hostname'])).rejects.toMatchObject({
        code: 'E_INVALID',
      });
    });

    it('a vxlan device: how it was made, whom it knows, and where frames go, each once', async () => {
      await using given = await openNetns();

      const link = { kind: 'vxlan', vni: 7, local: '192.0.2.1', port: 8472, isLearning: false } as const;
      const near = (address: string, mac: string): NetOp => ({
        op: 'ensureNeighbour',
        name: 'vx0',
        address,
        mac,
      });
      const forward = (mac: string, remote: string): NetOp => ({
        op: 'ensureForwarding',
        name: 'vx0',
        mac,
        remote,
      });
      await given.apply(
        { op: 'addLink', name: 'vx0', link: { ...link, hasChecksum: false }, mtu: 1450 },
        { op: 'setLink', name: 'vx0', up: true },
        // A namespace without any address takes no gateway that is not on a link.
        { op: 'ensureAddress', name: 'vx0', address: '10.77.0.0/32' },
        near('10.77.1.0', '0A:00:00:00:00:01'),
        near('10.77.1.0', '0a:00:00:00:00:02'),
        near('fd00:77:1::', '0a:00:00:00:00:02'),
        forward('0a:00:00:00:00:02', '192.0.2.2'),
        forward('0a:00:00:00:00:02', '192.0.2.3'),
        { op: 'ensureRoute', destination: '10.77.1.0/24', gateway: '10.77.1.0', dev: 'vx0', isOnLink: true },
        {
          op: 'ensureRoute',
          destination: 'fd00:77:1::/64',
          gateway: 'fd00:77:1::',
          dev: 'vx0',
          isOnLink: true,
        },
      );
      const { hasChecksum: _, kind: __, ...vxlan } = { ...link, hasChecksum: false };
      expect(await given.link('vx0')).toMatchObject({ kind: 'vxlan', mtu: 1450, vxlan });
      expect(await given.routes()).toEqual(['10.77.1.0/24 10.77.1.0 112']);
      const known = () => given.netlink.neighbours(given.netns, 'vx0');
      expect(await known()).toEqual({
        neighbours: expect.arrayContaining([
          { address: '10.77.1.0', mac: '0a:00:00:00:00:02' },
          { address: 'fd00:77:1::', mac: '0a:00:00:00:00:02' },
        ]),
        forwarding: [{ mac: '0a:00:00:00:00:02', remote: '192.0.2.3' }],
      });
      expect((await known()).neighbours).toHaveLength(2);
      const removals: readonly NetOp[] = [
        { op: 'removeNeighbour', name: 'vx0', address: '10.77.1.0' },
        { op: 'removeForwarding', name: 'vx0', mac: '0a:00:00:00:00:02', remote: '192.0.2.3' },
      ];
      await given.apply(...removals, ...removals, {
        op: 'removeNeighbour',
        name: 'gone',
        address: '10.0.0.1',
      });
      expect(await known()).toEqual({
        neighbours: [{ address: 'fd00:77:1::', mac: '0a:00:00:00:00:02' }],
        forwarding: [],
      });
      expect(await given.netlink.neighbours(given.netns, 'gone')).toEqual({ neighbours: [], forwarding: [] });
    });

    it('routes tell what who made them has chosen, those of two priorities are two; addresses tell their scope', async () => {
      await using given = await openNetns();

      await given.apply(
        addBridge,
        { op: 'ensureAddress', name: 'br0', address: '10.77.0.1/16' },
        { op: 'ensureAddress', name: 'br0', address: 'fe80::77/64' },
        { op: 'setLink', name: 'br0', up: true },
        { op: 'ensureRoute', destination: 'default', gateway: '10.77.0.254', priority: 100 },
        { op: 'ensureRoute', destination: 'default', gateway: '10.77.0.253' },
        { op: 'ensureRoute', destination: '10.79.0.0/24', dev: 'br0', source: '10.77.0.1', mtu: 1400 },
        { op: 'ensureRoute', destination: '10.80.0.0/24', gateway: '10.9.0.1', dev: 'br0', isOnLink: true },
      );
      const { addresses, routes } = await given.netlink.state(given.netns);
      const chosen = routes.flatMap(({ destination, protocol, priority, source, mtu, isOnLink }) =>
        protocol === 2 ? [] : [[destination, priority, source, mtu, isOnLink]],
      );
      expect(chosen.map((each) => each.join(' ').trim()).toSorted()).toEqual([
        '10.79.0.0/24  10.77.0.1 1400',
        '10.80.0.0/24    true',
        'default',
        'default 100',
      ]);
      const scopeOf = (text: string): number | undefined =>
        addresses.find(({ address }) => address === text)?.scope;
      expect([scopeOf('10.77.0.1/16'), scopeOf('fe80::77/64')]).toEqual([undefined, 253]);
    });

    it('watch() tells of links, addresses and routes until disposed', async () => {
      await using given = await openNetns();

      const events: NetEvent[] = [];
      const waiting = new Set<() => void>();
      const watch = await given.netlink.watch(given.netns, (event) => {
        events.push(event);
        for (const look of waiting) look();
      });
      const seen = async (wanted: Partial<NetEvent>): Promise<void> => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const look = (): void => {
          const isSeen = events.some((event) =>
            Object.entries(wanted).every(([key, value]) => Reflect.get(event, key) === value),
          );
          if (isSeen) resolve();
        };
        waiting.add(look);
        look();
        await promise;
        waiting.delete(look);
      };
      await given.apply(
        addBridge,
        { op: 'ensureAddress', name: 'br0', address: '10.77.0.1/16' },
        { op: 'setLink', name: 'br0', up: true },
        { op: 'ensureRoute', destination: '10.78.0.0/24', dev: 'br0' },
        { op: 'removeRoute', destination: '10.78.0.0/24' },
        { op: 'ensureNeighbour', name: 'br0', address: '10.77.0.9', mac: '0a:00:00:00:00:09' },
        { op: 'removeNeighbour', name: 'br0', address: '10.77.0.9' },
        { op: 'removeLink', name: 'br0' },
      );
      await seen({ kind: 'link', name: 'br0', removed: false });
      await seen({ kind: 'address', removed: false });
      await seen({ kind: 'route', destination: '10.78.0.0/24', removed: false });
      await seen({ kind: 'route', destination: '10.78.0.0/24', removed: true });
      await seen({ kind: 'neighbour', removed: false });
      await seen({ kind: 'neighbour', removed: true });
      await seen({ kind: 'link', name: 'br0', removed: true });
      await watch[Symbol.asyncDispose]();
      const count = events.length;
      await given.apply(addBridge);
      await given.netlink.state(given.netns);
      expect(events).toHaveLength(count);
    });
  });
}
