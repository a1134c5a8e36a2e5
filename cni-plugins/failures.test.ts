/** Every step of every plugin's ADD fails once, in a fake kernel: what was there before is there after, and the next ADD succeeds. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { cniCodeOf } from '#api/cni/cni-error.ts';
import type { CniCommand, CniInvoker } from '#api/cni/invocation.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ownNetns, type NetOp, type Netlink } from '#native/netlink/netlink.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { createFakeNft, type FakeNft } from '#native/nft/nft.fake.ts';
import type { Nft, TableRef } from '#native/nft/nft.ts';
import { renderNftOp } from '#native/nft/render.ts';
import { kernelError } from '#native/sys/errno.ts';
import { createInvoker, createPluginRegistry } from './registry.ts';

const dataDir = scratchDirectory('podwright-failures-');

const netns = '/run/netns/c1';
const container = { kind: 'path', path: netns } as const;
const signal = new AbortController().signal;
const ipam = { type: 'host-local', dataDir, subnet: '10.1.0.0/24', routes: [{ dst: '0.0.0.0/0' }] };

/** A kernel whose n-th change fails, of links or of tables. */
function createFailing(
  netlink: Netlink,
  nft: FakeNft,
): {
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly steps: string[];
  failAt: number | undefined;
} {
  const state = { steps: [] as string[], failAt: undefined as number | undefined };
  const apply: Netlink['apply'] = async (where, ops) => {
    for (const op of ops) {
      state.steps.push(renderNetOp(op));
      if (state.steps.length - 1 === state.failAt) throw kernelError(renderNetOp(op), 'ENOBUFS');
      await netlink.apply(where, [op]);
    }
  };
  const commit: Nft['commit'] = async (where, ops) => {
    const what = ops.map((op) => renderNftOp(op)).join('; ');
    state.steps.push(what);
    if (state.steps.length - 1 === state.failAt) throw kernelError(what, 'ENOBUFS');
    await nft.commit(where, ops);
  };
  const failing: Netlink = {
    createNetns: (path) => netlink.createNetns(path),
    removeNetns: (path) => netlink.removeNetns(path),
    state: (where) => netlink.state(where),
    policy: (where) => netlink.policy(where),
    sysctls: (where, keys) => netlink.sysctls(where, keys),
    neighbours: (where, link) => netlink.neighbours(where, link),
    watch: (where, onEvent) => netlink.watch(where, onEvent),
    apply,
    applyAll: async (changes) => {
      for (const { netns: where, ops } of changes) await apply(where, ops);
    },
  };
  return Object.assign(state, { netlink: failing, nft: { ...nft, commit } });
}

interface Given {
  readonly invoke: CniInvoker;
  readonly failing: ReturnType<typeof createFailing>;
  /** Somebody changes the container's namespace, or removes a table of the host. */
  readonly damage: (what: NetOp | TableRef) => Promise<void>;
  /** All that a plugin could leave, but bridges with the host's own ends, and tables, which are of all containers. */
  readonly left: () => Promise<unknown>;
}

async function open(): Promise<Given> {
  const fake = createFakeNetlink();
  const nft = createFakeNft();
  await fake.createNetns(netns);
  await fake.apply(ownNetns, [
    { op: 'addLink', name: 'spare', link: { kind: 'dummy' } },
    { op: 'addLink', name: 'veth0', link: { kind: 'veth', peerName: 'net1', peerNetns: container } },
    { op: 'ensureRoute', destination: 'default', gateway: '192.0.2.1' },
  ]);
  await fake.apply(container, [
    { op: 'setLink', name: 'net1', up: true },
    { op: 'ensureAddress', name: 'net1', address: '10.2.0.2/24' },
  ]);
  const failing = createFailing(fake, nft);
  /** Of all tables that were changed. */
  const elements = (): readonly string[] => {
    const refs = new Map(
      nft.commits.flatMap(({ ops }) =>
        ops.flatMap(({ table }) =>
          table === undefined ? [] : [[`${table.family} ${table.name}`, table] as const],
        ),
      ),
    );
    return [...refs].flatMap(([name, ref]) =>
      Object.entries(nft.table(ownNetns, ref)?.elements ?? {}).flatMap(([set, own]) =>
        own.map(({ key }) => `${name} ${set} ${key.join(' . ')}`),
      ),
    );
  };
  const namesIn = async (where: typeof container | typeof ownNetns): Promise<readonly string[]> =>
    (await fake.state(where)).links
      .map(({ name }) => name)
      .filter((name) => name !== 'cni0' && !/^(cni0\.\d+|vgw.*)$/.test(name))
      .toSorted();
  return {
    invoke: createInvoker({ netlink: failing.netlink, nft: failing.nft }),
    damage: async (damaged) => {
      if ('op' in damaged) await fake.apply(container, [damaged]);
      else nft.dropTable(ownNetns, damaged);
    },
    failing,
    left: async () => ({
      host: await namesIn(ownNetns),
      container: await namesIn(container),
      rules: (await fake.policy(container)).rules,
      elements: elements(),
      leases: readdirSync(dataDir, { recursive: true }).filter((name) => /\d+\.\d+\.\d+/.test(String(name))),
    }),
  };
}

const subnetFile = join(dataDir, 'subnet.env');
beforeAll(() =>
  writeFileSync(
    subnetFile,
    'FLANNEL_NETWORK=10.3.0.0/16\nFLANNEL_SUBNET=10.3.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  ),
);

const previous = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'veth0' }, { name: 'net1', sandbox: netns }],
  ips: [{ address: '10.2.0.2/24', gateway: '10.2.0.1', interface: 1 }],
};
const made = { ifname: 'eth0' };
const chained = { ifname: 'net1', prevResult: previous };

const rows: readonly (readonly [
  type: string,
  config: JsonObject,
  call: {
    readonly ifname: string;
    readonly prevResult?: object;
    /** What CHECK has to see; without it that the link is gone. */
    readonly damage?: NetOp | TableRef;
  },
])[] = [
  ['bridge', { isDefaultGateway: true, ipMasq: true, hairpinMode: true, ipam }, made],
  ['bridge', { isGateway: true, vlan: 7, preserveDefaultVlan: false, macspoofchk: true, ipam }, made],
  ['bridge', { vlanTrunk: [{ id: 3 }, { minID: 5, maxID: 9 }], portIsolation: true, ipam }, made],
  ['ptp', { ipMasq: true, ipam }, made],
  ['macvlan', { master: 'eth0', ipam }, made],
  ['ipvlan', { ipam }, made],
  ['vlan', { master: 'eth0', vlanId: 3, ipam }, made],
  ['dummy', { ipam }, made],
  ['tap', { mtu: 1400, ipam }, made],
  ['host-device', { device: 'spare', ipam }, made],
  ['tuning', { sysctl: { 'net.ipv4.conf.IFNAME.log_martians': '1' }, mtu: 1300, dataDir }, chained],
  ['sbr', {}, chained],
  ['vrf', { vrfname: 'blue' }, chained],
  [
    'portmap',
    { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } },
    { ...chained, damage: { family: 'ip', name: 'cni-portmap' } },
  ],
  ['loopback', {}, { ifname: 'lo', damage: { op: 'setLink', name: 'lo', up: false } }],
  ['flannel', { subnetFile, dataDir: join(dataDir, 'flannel') }, { ifname: 'eth0' }],
  ['bandwidth', { ingressRate: 1000, ingressBurst: 1000, egressRate: 1000, egressBurst: 1000 }, chained],
];

describe.each(rows)('%s', (type, config, { ifname, prevResult, damage: damaged }) => {
  const call = (command: CniCommand, extra: JsonObject = {}): Parameters<CniInvoker>[1] => ({
    command,
    containerId: 'c1',
    netns,
    ifname,
    args: {},
    path: [],
    config: { cniVersion: '1.1.0', name: 'net', type, ...config, prevResult, ...extra },
  });

  test('ADD fails at each step, and leaves nothing', async () => {
    const counted = await open();
    await counted.invoke(type, call('ADD'), signal);
    const count = counted.failing.steps.length;
    await counted.invoke(type, call('DEL'), signal);
    expect(count).toBeGreaterThan(0);
    for (let step = 0; step < count; step++) {
      const given = await open();
      const before = await given.left();
      given.failing.failAt = step;
      const error: unknown = await given.invoke(type, call('ADD'), signal).catch((thrown: unknown) => thrown);
      const what = `step ${step}: ${given.failing.steps[step]}`;
      expect(error, what).toMatchObject({ message: expect.stringContaining('ENOBUFS') });
      expect(cniCodeOf(error), what).toBe(5);
      expect(await given.left(), what).toEqual(before);
      const result = await given.invoke(type, call('ADD'), signal);
      await given.invoke(type, call('DEL', { prevResult: result }), signal);
      expect(await given.left(), what).toEqual(before);
    }
  });

  test('CHECK holds after ADD, and not after somebody took the link; DEL succeeds twice, and without the namespace', async () => {
    const { invoke, failing, damage, left } = await open();
    const before = await left();
    const result = await invoke(type, call('ADD'), signal);
    await invoke(type, call('CHECK', { prevResult: result }), signal);
    await damage(damaged ?? { op: 'removeLink', name: ifname });
    const broken = invoke(type, call('CHECK', { prevResult: result }), signal);
    await expect(broken).rejects.toMatchObject({ detail: { cniCode: 3 } });
    if (type === 'host-device' || prevResult !== undefined) return; // The link itself was the test's.
    await invoke(type, call('DEL', { prevResult: result }), signal);
    await invoke(type, call('DEL', { prevResult: result }), signal);
    expect(await left()).toEqual(before);
    await invoke(type, call('ADD'), signal);
    await failing.netlink.removeNetns(netns);
    await invoke(type, call('DEL', { prevResult: result }), signal);
    await invoke(type, { ...call('DEL'), netns: '' }, signal);
  });

  test('STATUS and GC are answered', async () => {
    const { invoke } = await open();
    const network = { containerId: '', netns: '', ifname: '' };
    await invoke(type, { ...call('STATUS'), ...network }, signal);
    await invoke(type, { ...call('GC', { 'cni.dev/valid-attachments': [] }), ...network }, signal);
  });
});

test('the rows are all plugins that change links', () => {
  const others = ['dhcp', 'firewall', 'host-local', 'static'];
  const tested = new Set(rows.map(([type]) => type));
  expect([...createPluginRegistry().keys()].filter((type) => !tested.has(type)).toSorted()).toEqual(
    others.toSorted(),
  );
});

test('an interface that is there already is another attachment: it stays when ADD fails', async () => {
  const { invoke, failing } = await open();
  for (const type of ['macvlan', 'dummy', 'tap', 'host-device']) {
    const config = { cniVersion: '1.1.0', name: 'net', type, device: 'spare', master: 'eth0', ipam };
    const call = {
      command: 'ADD',
      containerId: 'c1',
      netns,
      ifname: 'net1',
      args: {},
      path: [],
      config,
    } as const;
    await expect(invoke(type, call, signal)).rejects.toMatchObject({ detail: expect.anything() });
    const { links } = await failing.netlink.state(container);
    expect(
      links.map(({ name }) => name),
      type,
    ).toContain('net1');
  }
});
