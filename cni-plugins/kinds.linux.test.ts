/** Each plugin on the kernel: what it makes, CHECK, DEL twice, GC, STATUS, and what Debian's of the same name makes of the same. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { CniCommand, CniInvocation, CniInvoker } from '#api/cni/invocation.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createInvoker } from './registry.ts';
import { invokeProgram } from './skel/run-program.ts';

const isRoot = process.getuid?.() === 0;
const debianDir = '/usr/lib/cni';
const netlink = createSyncNetlink();
const ours: CniInvoker = createInvoker({ netlink, nft: createSyncNft() });
const signal = AbortSignal.timeout(120_000);
const dir = scratchDirectory('podwright-kinds-');
const netns = `/run/netns/podwright-kinds-${process.pid}`;
const container = { kind: 'path', path: netns } as const;

const run = (text: string): string => {
  const [program = '', ...args] = text.split(' ');
  return execFileSync(program, args, { encoding: 'utf8' });
};
/** Whether this kernel has links of the kind. */
function hasKind(kind: string): boolean {
  if (!isRoot) return false;
  try {
    execFileSync(
      'unshare',
      [
        '--net',
        'sh',
        '-c',
        `ip link add name up0 type bridge && ip link set up0 up && ip link add name x ${kind.startsWith('vrf') || kind === 'dummy' ? '' : 'link up0 '}type ${kind}`,
      ],
      { stdio: 'ignore' },
    );
    return true;
  } catch {
    return false;
  }
}

function call(
  command: CniCommand,
  type: string,
  config: JsonObject,
  extra: Partial<CniInvocation> = {},
): CniInvocation {
  return {
    command,
    containerId: 'c1',
    netns,
    ifname: 'eth0',
    args: {},
    path: [debianDir],
    config: { cniVersion: '1.0.0', name: 'net', type, ...config },
    ...extra,
  };
}

/** What a container sees of its network, without what a kernel or a plugin chooses. */
async function seen(): Promise<unknown> {
  const { links, addresses, routes } = await netlink.state(container);
  const isOwn = (text: string): boolean => !/^f[ef]/.test(text);
  return {
    links: links
      .filter(({ name }) => name !== 'lo')
      .map(({ name, kind, mtu, isUp }) => ({ name, kind, mtu, isUp })),
    addresses: addresses
      .map(({ address }) => address)
      .filter(isOwn)
      .toSorted(),
    routes: routes
      .filter(({ destination }) => isOwn(destination))
      .map(({ destination, gateway }) => `${destination} ${gateway ?? 'direct'}`)
      .toSorted(),
  };
}

const hostLinks = async (): Promise<readonly string[]> =>
  (await netlink.state(ownNetns)).links.map(({ name }) => name).toSorted();

const ipam = { type: 'static', addresses: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }] };
const withRoute = { ...ipam, routes: [{ dst: '0.0.0.0/0' }, { dst: '10.8.0.0/16', gw: '10.1.0.9' }] };

interface Row {
  readonly type: string;
  readonly config: JsonObject;
  readonly kind?: string;
  /** Why Debian's 1.1.1 makes something else. */
  readonly differs?: string;
}

const rows: readonly Row[] = [
  { type: 'ptp', config: { ipMasq: false, mtu: 1400, ipam: withRoute } },
  { type: 'macvlan', config: { master: 'up0', ipam: withRoute }, kind: 'macvlan mode bridge' },
  {
    type: 'macvlan',
    config: { master: 'up0', mode: 'private', mtu: 1300, ipam },
    kind: 'macvlan mode bridge',
  },
  { type: 'ipvlan', config: { master: 'up0', ipam: withRoute }, kind: 'ipvlan' },
  { type: 'vlan', config: { master: 'up0', vlanId: 7, ipam }, kind: 'vlan id 7' },
  { type: 'host-device', config: { device: 'spare', ipam: withRoute } },
  {
    type: 'macvlan',
    config: { master: 'up0', bcqueuelen: 2000, ipam: withRoute },
    kind: 'macvlan mode bridge',
  },
  { type: 'dummy', config: { ipam }, kind: 'dummy', differs: 'it has none' },
  { type: 'tap', config: { mtu: 1400, ipam }, differs: 'it has none' },
];

describe.skipIf(!isRoot)('plugins that make an interface (needs root)', () => {
  beforeAll(() => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    run('ip link set lo up');
    run('ip link add name up0 type veth peer name up1');
    run('ip link set up0 up');
    run('ip link set up1 up');
    run('ip link add name spare type veth peer name spare1');
    run('ip address add 192.0.2.2/24 dev up0');
    run('ip route add default via 192.0.2.1');
  });
  beforeEach(async () => {
    await netlink.removeNetns(netns);
    await netlink.createNetns(netns);
  });
  afterAll(async () => {
    await netlink.removeNetns(netns);
  });

  describe.each(rows)('$type', ({ type, config, kind, differs }) => {
    const isMissing = kind !== undefined && !hasKind(kind);
    const onKernel = test.skipIf(isMissing);

    onKernel(`${JSON.stringify(config)}: ADD, CHECK, DEL twice, GC, STATUS`, async () => {
      const before = await hostLinks();
      const result = await ours(type, call('ADD', type, config), signal);
      const previous = { ...config, prevResult: result };
      await ours(type, call('CHECK', type, previous), signal);
      await netlink.apply(container, [{ op: 'removeAddress', name: 'eth0', address: '10.1.0.2/24' }]);
      await expect(ours(type, call('CHECK', type, previous), signal)).rejects.toThrow(
        '10.1.0.2/24 is missing',
      );
      if (type !== 'host-device') {
        await netlink.apply(container, [
          { op: 'setLink', name: 'eth0', up: false },
          { op: 'setLink', name: 'eth0', rename: 'eth9' },
          { op: 'addLink', name: 'eth0', link: { kind: 'bridge' } },
        ]);
        await expect(ours(type, call('CHECK', type, previous), signal)).rejects.toThrow(
          /eth0 is a bridge, not a (?:veth|macvlan|ipvlan|vlan|dummy|tun)/,
        );
        await netlink.apply(container, [
          { op: 'removeLink', name: 'eth0' },
          { op: 'setLink', name: 'eth9', rename: 'eth0' },
        ]);
      }
      await ours(type, call('DEL', type, previous), signal);
      await ours(type, call('DEL', type, previous), signal);
      expect(await hostLinks()).toEqual(before);
      expect((await netlink.state(container)).links.map(({ name }) => name)).toEqual(['lo']);
      const network = { containerId: '', netns: '', ifname: '' };
      const newest = { ...config, cniVersion: '1.1.0' };
      await ours(type, call('STATUS', type, newest, network), signal);
      await ours(type, call('GC', type, { ...newest, 'cni.dev/valid-attachments': [] }, network), signal);
    });

    const like = test.skipIf(isMissing || differs !== undefined || !existsSync(join(debianDir, type)));
    like(`${JSON.stringify(config)}: as Debian's`, async () => {
      const theirs = await invokeProgram(type, call('ADD', type, config), signal);
      const want = await seen();
      await invokeProgram(type, call('DEL', type, { ...config, prevResult: theirs }), signal);
      const result = await ours(type, call('ADD', type, config), signal);
      expect(await seen()).toEqual(want);
      expect(result).toMatchObject({
        ips: theirs?.['ips'],
        ...(theirs?.['routes'] === undefined ? {} : { routes: theirs['routes'] }),
        interfaces: [
          ...Array.from({ length: ((theirs?.['interfaces'] ?? []) as readonly unknown[]).length - 1 }, () =>
            expect.anything(),
          ),
          { name: 'eth0', mac: expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/), sandbox: netns },
        ],
      });
      // Either takes down what the other made.
      await invokeProgram(type, call('DEL', type, { ...config, prevResult: result }), signal);
      expect((await netlink.state(container)).links.map(({ name }) => name)).toEqual(['lo']);
    });
  });

  test('host-device with useInterfaceNetwork takes what the host had along, and finds its link renamed', async () => {
    run('ip link set spare up');
    run('ip link set spare1 up');
    run('ip address add 10.7.0.7/24 dev spare');
    run('ip address add fd00:7::7/64 dev spare nodad');
    run('ip route add 10.8.0.0/16 via 10.7.0.1 dev spare metric 9 mtu 1300');
    run('ip route add default via 10.7.0.1 dev spare table 77');
    run('ip rule add from 10.7.0.7/32 lookup 77');
    const device = { device: 'spare', useInterfaceNetwork: true };
    const result = await ours('host-device', call('ADD', 'host-device', device), signal);
    expect(result).toMatchObject({
      ips: expect.arrayContaining([expect.objectContaining({ address: '10.7.0.7/24', interface: 0 })]),
    });
    const shown = run(`nsenter --net=${netns} ip route show table all`);
    expect(shown).toMatch(/10\.8\.0\.0\/16 via 10\.7\.0\.1 dev eth0 metric 9 mtu 1300/);
    expect(shown).toMatch(/default via 10\.7\.0\.1 dev eth0 table 77/);
    expect(run(`nsenter --net=${netns} ip -6 address show dev eth0`)).toContain('fd00:7::7/64');
    expect(run(`nsenter --net=${netns} ip rule`)).toContain('from 10.7.0.7 lookup 77');
    const previous = { ...device, prevResult: result };
    await ours('host-device', call('CHECK', 'host-device', previous), signal);
    run(`nsenter --net=${netns} ip link set eth0 down`);
    run(`nsenter --net=${netns} ip link set eth0 name port0`);
    await ours('host-device', call('DEL', 'host-device', previous), signal);
    expect(await hostLinks()).toContain('spare');
    run('ip rule del from 10.7.0.7/32 lookup 77');
  });

  test.skipIf(!existsSync(join(debianDir, 'static')))(
    "static takes what CNI_ARGS, args.cni and the capability say as Debian's does",
    async () => {
      const two = {
        ipam: {
          type: 'static',
          addresses: [{ address: '10.1.0.2/24' }, { address: '10.5.0.2/24', gateway: '10.5.0.9' }],
        },
      };
      const asked = [
        [{}, { IP: '10.2.0.5/24', GATEWAY: '10.2.0.1' }],
        [{}, { IP: ' 10.2.0.5/24, fd00::5/64', GATEWAY: 'fd00::1, 10.2.0.1 ,10.1.0.7,192.0.2.1' }],
        [{}, { GATEWAY: '10.1.0.7' }],
        [{ args: { cni: { ips: ['10.3.0.5/24'] } } }, { IP: '10.2.0.5/24', GATEWAY: '10.3.0.1' }],
        [
          { args: { cni: { ips: ['10.3.0.5/24'] } }, runtimeConfig: { ips: ['10.4.0.5/24'] } },
          { GATEWAY: '10.4.0.1' },
        ],
      ] as const;
      for (const [config, args] of asked) {
        const add = call('ADD', 'static', { ...two, ...config }, { args });
        const [theirs, own] = [await invokeProgram('static', add, signal), await ours('static', add, signal)];
        expect([args, own]).toEqual([args, theirs]);
      }
      const wrong = call('ADD', 'static', two, { args: { GATEWAY: '10.2.0' } });
      await expect(invokeProgram('static', wrong, signal)).rejects.toThrow('invalid gateway');
      await expect(ours('static', wrong, signal)).rejects.toThrow('GATEWAY "10.2.0" of CNI_ARGS is not');
    },
  );

  const plainLinks = [
    ['bridge', { bridge: 'br9', isGateway: true }],
    ['ptp', {}],
    ['macvlan', { master: 'up0' }],
  ] as const;
  test.each(plainLinks)('%s gives an address of IPv6 where the runtime had that off', async (type, link) => {
    if (type === 'macvlan' && !hasKind('macvlan mode bridge')) return;
    const off = (name: string) =>
      ({ op: 'setSysctl', key: `net/ipv6/conf/${name}/disable_ipv6`, value: '1' }) as const;
    await netlink.apply(container, [off('all'), off('default')]);
    const config = { ...link, ipam: { type: 'static', addresses: [{ address: 'fd00::2/64' }] } };
    await ours(type, call('ADD', type, config), signal);
    expect(await seen()).toMatchObject({ addresses: expect.arrayContaining(['fd00::2/64']) });
    await ours(type, call('DEL', type, config), signal);
    if (type === 'bridge') run('ip link del br9');
  });

  test("bridge's gateway has no other address where forceAddress is set", async () => {
    const config = (subnet: string, more: JsonObject) => ({
      bridge: 'br9',
      isGateway: true,
      ...more,
      ipam: { type: 'static', addresses: [{ address: `${subnet}.2/24`, gateway: `${subnet}.1` }] },
    });
    for (const [subnet, more, want] of [
      ['10.1.0', {}, ['10.1.0.1/24']],
      ['10.2.0', { forceAddress: true }, ['10.2.0.1/24']],
      ['10.2.0', { forceAddress: true }, ['10.2.0.1/24']],
    ] as const) {
      await ours('bridge', call('ADD', 'bridge', config(subnet, more)), signal);
      const { links, addresses } = await netlink.state(ownNetns);
      const index = links.find(({ name }) => name === 'br9')?.index;
      const own = addresses.filter(
        ({ linkIndex, address }) => linkIndex === index && !address.startsWith('fe'),
      );
      expect(own.map(({ address }) => address)).toEqual(want);
      await ours('bridge', call('DEL', 'bridge', config(subnet, more)), signal);
    }
    run('ip link del br9');
  });

  test.each(['0.3.1', '1.0.0', '1.1.0'])(
    'routes have the segment size, scope, metric and table that they are given (%s)',
    async (cniVersion) => {
      const routes = [
        { dst: '10.8.0.0/16', mtu: 1300, advmss: 1200, priority: 7 },
        { dst: '10.9.0.0/16', scope: 253 },
        { dst: '10.10.0.0/16', scope: 0, table: 9 },
      ];
      const config = { cniVersion, ipam: { ...ipam, routes } };
      const result = await ours('bridge', call('ADD', 'bridge', { ...config, bridge: 'br9' }), signal);
      expect(result?.['routes']).toEqual([
        { ...routes[0], gw: '10.1.0.1' },
        routes[1],
        { ...routes[2], gw: '10.1.0.1' },
      ]);
      const shown = run(`nsenter --net=${netns} ip route show table all`);
      expect(shown).toMatch(/10\.8\.0\.0\/16 via 10\.1\.0\.1 dev eth0 .*metric 7 mtu 1300 advmss 1200/);
      expect(shown).toMatch(/10\.9\.0\.0\/16 dev eth0 .*scope link/);
      expect(shown).toMatch(/10\.10\.0\.0\/16 via 10\.1\.0\.1 dev eth0 table 9/);
      await ours('bridge', call('DEL', 'bridge', { ...config, bridge: 'br9' }), signal);
      run('ip link del br9');
    },
  );

  test.skipIf(!hasKind('macvlan mode bridge'))('a link of a link of the container', async () => {
    await ours('ptp', call('ADD', 'ptp', { ipam }, { ifname: 'net0' }), signal);
    const config = { master: 'net0', linkInContainer: true, bcqueuelen: 2000 };
    const result = await ours('macvlan', call('ADD', 'macvlan', config), signal);
    expect(run(`nsenter --net=${netns} ip -d link show eth0`)).toMatch(/eth0@net0.*[^]*bcqueuelen 2000/);
    await ours('macvlan', call('CHECK', 'macvlan', { ...config, prevResult: result }), signal);
    await ours('macvlan', call('DEL', 'macvlan', config), signal);
    expect((await netlink.state(container)).links.map(({ name }) => name).toSorted()).toEqual(['lo', 'net0']);
    await ours('ptp', call('DEL', 'ptp', { ipam }, { ifname: 'net0' }), signal);
  });

  test('tap is a port of a bridge of the container', async () => {
    await netlink.apply(container, [{ op: 'addLink', name: 'br0', link: { kind: 'bridge' } }]);
    await ours('tap', call('ADD', 'tap', { bridge: 'br0' }), signal);
    expect(run(`nsenter --net=${netns} ip link show eth0`)).toContain('master br0');
    await ours('tap', call('DEL', 'tap', { bridge: 'br0' }), signal);
  });

  describe('plugins that come after', () => {
    let made: JsonObject;
    beforeEach(async () => {
      const routes = [{ dst: '0.0.0.0/0' }];
      made = (await ours('ptp', call('ADD', 'ptp', { ipam: { ...ipam, routes } }), signal)) ?? {};
    });

    test('tuning sets what it is told, and CHECK sees when it is otherwise', async () => {
      const sysctl = { 'net.ipv4.conf.IFNAME.log_martians': '1', 'net.core.somaxconn': '77' };
      const config = {
        sysctl,
        mtu: 1280,
        promisc: true,
        mac: '0a:00:00:00:00:07',
        txQLen: 9,
        dataDir: dir,
        prevResult: made,
      };
      const result = await ours('tuning', call('ADD', 'tuning', config), signal);
      expect(result?.['interfaces']).toContainEqual({
        name: 'eth0',
        mac: '0a:00:00:00:00:07',
        mtu: 1280,
        sandbox: netns,
      });
      const read = (key: string): string => run(`nsenter --net=${netns} cat /proc/sys/net/${key}`).trim();
      expect([read('ipv4/conf/eth0/log_martians'), read('core/somaxconn')]).toEqual(['1', '77']);
      const previous = { ...config, prevResult: result };
      await ours('tuning', call('CHECK', 'tuning', previous), signal);
      await netlink.apply(container, [{ op: 'setLink', name: 'eth0', mtu: 1400 }]);
      const broken = ours('tuning', call('CHECK', 'tuning', previous), signal);
      await expect(broken).rejects.toThrow('mtu is 1400, not 1280');
      await netlink.apply(container, [
        { op: 'setLink', name: 'eth0', mtu: 1280 },
        { op: 'setSysctl', key: 'net.core.somaxconn', value: '78' },
      ]);
      const changed = ours('tuning', call('CHECK', 'tuning', previous), signal);
      await expect(changed).rejects.toThrow('net/core/somaxconn is 78, not 77');
      await ours('tuning', call('DEL', 'tuning', previous), signal);
    });

    test("tuning gives a link that goes back to the host its settings back, as Debian's does", async () => {
      await netlink.removeNetns(netns);
      await netlink.createNetns(netns);
      const device = { device: 'spare' };
      const settings = async () => {
        const link = (await netlink.state(ownNetns)).links.find(({ name }) => name === 'spare');
        return [link?.mac, link?.mtu, link?.isPromiscuous, link?.isAllMulticast, link?.txQueueLength];
      };
      const before = await settings();
      const shared = { mac: '0a:00:00:00:00:07', mtu: 1280, promisc: true, allmulti: true, dataDir: dir };
      const invokers = existsSync(join(debianDir, 'tuning')) ? [ours, invokeProgram] : [ours];
      for (const add of invokers)
        for (const del of invokers) {
          // Debian's 1.1.1 has no txQLen.
          const set = { ...shared, ...(add === ours && del === ours ? { txQLen: 9 } : {}) };
          const moved = await ours('host-device', call('ADD', 'host-device', device), signal);
          const config = { ...set, prevResult: moved };
          const result = await add('tuning', call('ADD', 'tuning', config), signal);
          if (add === ours) await ours('tuning', call('ADD', 'tuning', config), signal);
          const previous = { ...set, prevResult: result };
          await del('tuning', call('DEL', 'tuning', previous), signal);
          await del('tuning', call('DEL', 'tuning', previous), signal);
          await ours('host-device', call('DEL', 'host-device', { ...device, prevResult: result }), signal);
          expect(await settings()).toEqual(before);
          expect(readdirSync(dir)).toEqual([]);
        }
    });

    test('sbr routes by source, and DEL takes the rule away', async () => {
      const config = { prevResult: made };
      await ours('sbr', call('ADD', 'sbr', config), signal);
      expect(run(`nsenter --net=${netns} ip rule`)).toContain('from 10.1.0.2 lookup 100');
      const table = run(`nsenter --net=${netns} ip route show table 100`);
      expect(table).toContain('default via 10.1.0.1 dev eth0');
      await ours('sbr', call('CHECK', 'sbr', config), signal);
      await ours('sbr', call('DEL', 'sbr', config), signal);
      await ours('sbr', call('DEL', 'sbr', config), signal);
      expect(run(`nsenter --net=${netns} ip rule`)).not.toContain('10.1.0.2');
      await expect(ours('sbr', call('CHECK', 'sbr', config), signal)).rejects.toThrow(
        'no rule for 10.1.0.2/32',
      );
    });

    test('bandwidth bounds both directions on the host, and DEL takes its link away', async () => {
      const before = await hostLinks();
      const bandwidth = {
        ingressRate: 8_000_000,
        ingressBurst: 80_000,
        egressRate: 16_000_000,
        egressBurst: 160_000,
      };
      const config = { runtimeConfig: { bandwidth }, prevResult: made };
      const result = await ours('bandwidth', call('ADD', 'bandwidth', config), signal);
      const names = ((result?.['interfaces'] ?? []) as readonly { readonly name: string }[]).map(
        ({ name }) => name,
      );
      const [veth = '', , ifb = ''] = names;
      expect(run(`tc qdisc show dev ${veth}`)).toMatch(
        /tbf 1: root .*rate 8Mbit burst (10000b|9[.\d]+Kb|9999b).*\n.*ingress/,
      );
      expect(run(`tc qdisc show dev ${ifb}`)).toMatch(/tbf 1: root .*rate 16Mbit/);
      expect(run(`tc filter show dev ${veth} parent ffff:`)).toContain(`Egress Redirect to device ${ifb}`);
      const previous = { ...config, prevResult: result };
      await ours('bandwidth', call('CHECK', 'bandwidth', previous), signal);
      await ours('bandwidth', call('DEL', 'bandwidth', previous), signal);
      await ours('bandwidth', call('DEL', 'bandwidth', previous), signal);
      expect(await hostLinks()).toEqual(before);
      await expect(ours('bandwidth', call('CHECK', 'bandwidth', previous), signal)).rejects.toThrow(
        'is missing',
      );
    });

    test('bandwidth bounds some of the others that a container speaks with, and CHECK sees a queue that is gone', async () => {
      const bandwidth = {
        ingressRate: 8_000_000,
        ingressBurst: 80_000,
        egressRate: 80e9,
        egressBurst: 160_000,
      };
      const unshapedSubnets = ['10.0.0.0/9', 'fd00:1::/40', '::/0'];
      const config = { ...bandwidth, unshapedSubnets, prevResult: made };
      const result = await ours('bandwidth', call('ADD', 'bandwidth', config), signal);
      const [veth, , ifb] = ((result?.['interfaces'] ?? []) as readonly { readonly name: string }[]).map(
        ({ name }) => name,
      );
      expect(run(`tc qdisc show dev ${veth}`)).toContain('htb 1: root');
      expect(run(`tc class show dev ${veth}`)).toMatch(
        /htb 1:30 root .*rate 8Mbit ceil 8Mbit burst 9?1?[0-9.]*(K?b)/,
      );
      expect(run(`tc class show dev ${ifb}`)).toContain('rate 80Gbit');
      expect(run(`tc filter show dev ${veth} parent 1:`)).toContain('match 0a000000/ff800000 at 12');
      expect(run(`tc filter show dev ${ifb} parent 1:`)).toContain('match fd000001/ffffffff at 24');
      const previous = { ...config, prevResult: result };
      await ours('bandwidth', call('CHECK', 'bandwidth', previous), signal);
      run(`tc qdisc del dev ${veth} root`);
      const broken = ours('bandwidth', call('CHECK', 'bandwidth', previous), signal);
      await expect(broken).rejects.toThrow('has no queue htb');
      await ours('bandwidth', call('DEL', 'bandwidth', previous), signal);
    });

    test('bandwidth beside a program that looks at what comes in by the same link', async () => {
      const [{ name: end = '' } = {}] = (made['interfaces'] ?? []) as readonly { readonly name?: string }[];
      run(`tc qdisc add dev ${end} clsact`);
      const limits = { egressRate: 8_000_000, egressBurst: 80_000, shapedSubnets: ['10.0.0.0/8'] };
      const config = { ...limits, prevResult: made };
      const result = await ours('bandwidth', call('ADD', 'bandwidth', config), signal);
      const ifb = ((result?.['interfaces'] ?? []) as readonly { readonly name: string }[]).at(-1)?.name;
      expect(run(`tc filter show dev ${end} ingress`)).toContain(`Egress Redirect to device ${ifb}`);
      const shown = run(`tc -d class show dev ${ifb}`);
      expect(shown).toMatch(/htb 1:30 root .*quantum 100000 /);
      expect(shown).toMatch(/htb 1:1 root .*quantum 200000 /);
      await ours('bandwidth', call('CHECK', 'bandwidth', { ...config, prevResult: result }), signal);
      await ours('bandwidth', call('DEL', 'bandwidth', { ...config, prevResult: result }), signal);
      expect(run(`tc qdisc show dev ${end}`)).toContain('clsact');
    });

    test('bandwidth of more than 32 bits of bytes a second', async () => {
      const config = {
        runtimeConfig: { bandwidth: { ingressRate: 80e9, ingressBurst: 8e6 } },
        prevResult: made,
      };
      const result = await ours('bandwidth', call('ADD', 'bandwidth', config), signal);
      const [{ name: veth = '' } = {}] = (result?.['interfaces'] ?? []) as readonly {
        readonly name?: string;
      }[];
      expect(run(`tc qdisc show dev ${veth}`)).toContain('rate 80Gbit');
      await ours('bandwidth', call('DEL', 'bandwidth', { ...config, prevResult: result }), signal);
    });

    test("firewall makes the rules that Debian's makes, and either removes the other's", async () => {
      const config = { prevResult: made };
      const rules = (): string =>
        run('iptables -S')
          .split('\n')
          .filter((line) => line.includes('CNI'))
          .join('\n');
      await ours('firewall', call('ADD', 'firewall', config), signal);
      await ours('firewall', call('ADD', 'firewall', config), signal);
      const own = rules();
      expect(own).toContain('-A CNI-FORWARD -s 10.1.0.2/32 -j ACCEPT');
      await ours('firewall', call('CHECK', 'firewall', config), signal);
      if (existsSync(join(debianDir, 'firewall'))) {
        await invokeProgram(
          'firewall',
          call('CHECK', 'firewall', { ...config, backend: 'iptables' }),
          signal,
        );
        await invokeProgram('firewall', call('DEL', 'firewall', { ...config, backend: 'iptables' }), signal);
        await invokeProgram('firewall', call('ADD', 'firewall', { ...config, backend: 'iptables' }), signal);
        expect(rules().split('\n').toSorted()).toEqual(own.split('\n').toSorted());
      }
      await ours('firewall', call('DEL', 'firewall', config), signal);
      await ours('firewall', call('DEL', 'firewall', config), signal);
      expect(rules()).not.toContain('10.1.0.2');
    });

    test.skipIf(!hasKind('vrf table 9'))('vrf', async () => {
      const config = { vrfname: 'blue', prevResult: made };
      await ours('vrf', call('ADD', 'vrf', config), signal);
      await ours('vrf', call('CHECK', 'vrf', config), signal);
      await ours('vrf', call('DEL', 'vrf', config), signal);
      await ours('vrf', call('DEL', 'vrf', config), signal);
    });
  });

  test.skipIf(!existsSync('/bin/busybox'))(
    'macspoofchk drops what a container sends by another address',
    async () => {
      const config = { bridge: 'br7', isGateway: true, macspoofchk: true, portIsolation: true, ipam };
      const result = await ours('bridge', call('ADD', 'bridge', config), signal);
      const [, , own] = (result?.['interfaces'] ?? []) as readonly { readonly mac: string }[];
      const reaches = (): boolean =>
        spawnSync('nsenter', [`--net=${netns}`, '/bin/busybox', 'ping', '-c1', '-W1', '10.1.0.1']).status ===
        0;
      const setMac = (mac: string): Promise<void> =>
        netlink.apply(container, [{ op: 'setLink', name: 'eth0', mac }]);
      expect(reaches()).toBe(true);
      await setMac('02:00:00:00:00:99');
      expect(reaches()).toBe(false);
      await setMac(own?.mac ?? '');
      expect(reaches()).toBe(true);
      expect(run('nft list table bridge cni-mac-spoof-check')).toContain(own?.mac);
      await ours('bridge', call('DEL', 'bridge', config), signal);
      await ours('bridge', call('DEL', 'bridge', config), signal);
      expect(run('nft list table bridge cni-mac-spoof-check')).not.toContain(own?.mac);
      run('ip link del br7');
    },
  );

  test.skipIf(!existsSync('/bin/busybox')).each([
    ['10.1.0.2', '10.1.0.1/24'],
    ['fd00:1::2', 'fd00:1::1/64'],
  ])('the host reaches the next container that has %s by another hardware address', async (ip, gateway) => {
    const [host = '', prefix = ''] = gateway.split('/');
    const own = { type: 'static', addresses: [{ address: `${ip}/${prefix}`, gateway: host }] };
    const config = { bridge: 'br6', isGateway: true, ipam: own };
    const reaches = (): boolean => spawnSync('/bin/busybox', ['ping', '-c1', '-W1', ip]).status === 0;
    // A bridge without any port up forgets its neighbours.
    run('ip link add name held type veth peer name held1');
    run('ip link set held1 up');
    run('ip link add name br6 type bridge');
    run('ip link set held up master br6');
    for (const [index, mac] of ['02:00:00:00:00:21', '02:00:00:00:00:22'].entries()) {
      const given = { ...config, runtimeConfig: { mac } };
      const extra = { containerId: `c${index}` };
      await ours('bridge', call('ADD', 'bridge', given, extra), signal);
      expect([mac, reaches()]).toEqual([mac, true]);
      await ours('bridge', call('DEL', 'bridge', given, extra), signal);
    }
    run('ip link del br6');
    run('ip link del held');
  });

  test('vlan is refused in words by a kernel that cannot, and nothing is left', async () => {
    const before = await hostLinks();
    const config = { bridge: 'br8', vlan: 7, preserveDefaultVlan: false, ipam };
    const error: unknown = await ours('bridge', call('ADD', 'bridge', config), signal).catch(
      (e: unknown) => e,
    );
    if (!(error instanceof Error)) {
      expect(run('bridge vlan show')).toMatch(/veth\w+\s+7 PVID Egress Untagged/);
      await ours('bridge', call('DEL', 'bridge', config), signal);
    } else expect(error.message).toContain('this kernel lacks CONFIG_BRIDGE_VLAN_FILTERING');
    run('ip link del br8');
    expect(await hostLinks()).toEqual(before);
  });

  test('flannel calls bridge with the subnet of the node, and DEL with what ADD had made', async () => {
    const subnetFile = join(dir, 'subnet.env');
    const config = {
      subnetFile,
      dataDir: join(dir, 'flannel'),
      ipam: { dataDir: join(dir, 'leases') },
      delegate: { isDefaultGateway: true },
    };
    await expect(ours('flannel', call('ADD', 'flannel', config), signal)).rejects.toMatchObject({
      detail: { cniCode: 11 },
    });
    writeFileSync(
      subnetFile,
      'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
    );
    const result = await ours('flannel', call('ADD', 'flannel', config), signal);
    expect(result).toMatchObject({ ips: [{ address: '10.244.3.2/24', gateway: '10.244.3.1' }] });
    expect(await seen()).toMatchObject({
      links: [{ mtu: 1450 }],
      routes: ['10.244.0.0/16 10.244.3.1', '10.244.3.0/24 direct', 'default 10.244.3.1'],
    });
    await ours('flannel', call('CHECK', 'flannel', { ...config, prevResult: result }), signal);
    rmSync(subnetFile);
    await ours('flannel', call('DEL', 'flannel', { ...config, prevResult: result }), signal);
    await ours('flannel', call('DEL', 'flannel', config), signal);
    expect((await hostLinks()).filter((name) => /^veth\w{10}$/.test(name))).toEqual([]);
  });
});
