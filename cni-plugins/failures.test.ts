/** Every step of every plugin's ADD fails once, in a fake kernel: what was there before is there after, and the next ADD succeeds. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { cniCodeOf } from '#api/cni/cni-error.ts';
import type { CniCommand, CniInvoker } from '#api/cni/invocation.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ownNetns, type NetOp } from '#native/netlink/netlink.ts';
import type { TableRef } from '#native/nft/nft.ts';
import { createFailingMachine, failingFiles, type FailingMachine } from './failing.fixture.ts';
import { createInvoker, createPluginRegistry } from './registry.ts';

const dataDir = scratchDirectory('podwright-failures-');

const netns = '/run/netns/c1';
const container = { kind: 'path', path: netns } as const;
const signal = new AbortController().signal;
const ipam = { type: 'host-local', dataDir, subnet: '10.1.0.0/24', routes: [{ dst: '0.0.0.0/0' }] };

/** Somebody changes the container's namespace, removes a table of the host, or does what it says. */
type Damage = NetOp | TableRef | ((machine: FailingMachine) => unknown);

interface Given {
  readonly invoke: CniInvoker;
  readonly failing: FailingMachine;
  readonly damage: (what: Damage) => Promise<void>;
  /** All that a plugin could leave, but bridges with the host's own ends, and tables, which are of all containers. */
  readonly left: () => Promise<unknown>;
}

async function open(): Promise<Given> {
  const machine = await createFailingMachine(dataDir);
  const { kernel, tables, iptables } = machine;
  await kernel.createNetns(netns);
  await kernel.apply(ownNetns, [
    { op: 'addLink', name: 'spare', link: { kind: 'dummy' } },
    { op: 'addLink', name: 'veth0', link: { kind: 'veth', peerName: 'net1', peerNetns: container } },
    { op: 'ensureRoute', destination: 'default', gateway: '192.0.2.1' },
  ]);
  await kernel.apply(container, [
    { op: 'setLink', name: 'net1', up: true },
    { op: 'ensureAddress', name: 'net1', address: '10.2.0.2/24' },
  ]);
  /** Of all tables that were changed. */
  const elements = (): readonly string[] => {
    const refs = new Map(
      tables.commits.flatMap(({ ops }) =>
        ops.flatMap(({ table }) =>
          table === undefined ? [] : [[`${table.family} ${table.name}`, table] as const],
        ),
      ),
    );
    return [...refs].flatMap(([name, ref]) =>
      Object.entries(tables.table(ownNetns, ref)?.elements ?? {}).flatMap(([set, own]) =>
        own.map(({ key }) => `${name} ${set} ${key.join(' . ')}`),
      ),
    );
  };
  const namesIn = async (where: typeof container | typeof ownNetns): Promise<readonly string[]> =>
    (await kernel.state(where)).links
      .map(({ name }) => name)
      .filter((name) => name !== 'cni0' && !/^(cni0\.\d+|vgw.*)$/.test(name))
      .toSorted();
  const registry = createPluginRegistry(undefined, machine.dhcp, iptables.run);
  return {
    invoke: createInvoker({ ...machine, registry }),
    damage: async (damaged) => {
      if (typeof damaged === 'function') await damaged(machine);
      else if ('op' in damaged) await kernel.apply(container, [damaged]);
      else tables.dropTable(ownNetns, damaged);
    },
    failing: machine,
    left: async () => ({
      host: await namesIn(ownNetns),
      container: await namesIn(container),
      rules: (await kernel.policy(container)).rules,
      elements: elements(),
      iptables: iptables.rules().filter((rule) => rule.includes('10.2.0.2')),
      leases: leaseFiles(),
      dhcp: machine.server.holders(),
    }),
  };
}

/** Leases of addresses, and those of a daemon. */
const leaseFiles = (): readonly string[] =>
  readdirSync(dataDir, { recursive: true })
    .map(String)
    .filter((name) => /\d+\.\d+\.\d+|^dhcp\/./.test(name));

let files: Disposable;
beforeAll(() => (files = failingFiles()));
afterAll(() => files[Symbol.dispose]());

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

/** Of a daemon, as if its time had run out. */
const forgetLease = ({ dhcp }: FailingMachine): Promise<void> => dhcp.retain('net', [], signal);

const rows: readonly (readonly [
  type: string,
  config: JsonObject,
  call: {
    readonly ifname: string;
    readonly prevResult?: object;
    /** What CHECK has to see; without it that the link is gone. */
    readonly damage?: Damage;
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
  [
    'portmap',
    {
      masqAll: true,
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'udp' }] },
    },
    {
      ifname: 'net1',
      prevResult: { ...previous, ips: [...previous.ips, { address: 'fd00:2::2/64', interface: 1 }] },
      damage: { family: 'ip6', name: 'cni-portmap' },
    },
  ],
  ['loopback', {}, { ifname: 'lo', damage: { op: 'setLink', name: 'lo', up: false } }],
  ['flannel', { subnetFile, dataDir: join(dataDir, 'flannel') }, { ifname: 'eth0' }],
  [
    'firewall',
    { ingressPolicy: 'same-bridge' },
    { ...chained, damage: ({ iptables }) => iptables.removeRules((rule) => rule.includes('-s 10.2.0.2')) },
  ],
  [
    'host-local',
    { ipam: { dataDir, ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]] } },
    { ...made, damage: () => rmSync(join(dataDir, 'net'), { recursive: true }) },
  ],
  ['dhcp', { ipam: { type: 'dhcp' } }, { ifname: 'net1', damage: forgetLease }],
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
      expect(error, what).toMatchObject({ message: expect.stringMatching(/ENOBUFS|ENOSPC/) });
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
    if (type === 'host-device') {
      // The link itself was the test's, and the address is given back though the namespace is gone (containernetworking/plugins#1196).
      await failing.netlink.removeNetns(netns);
      await invoke(type, { ...call('DEL', { prevResult: result }), netns: '' }, signal);
      expect(leaseFiles()).toEqual([]);
    }
    if (type === 'host-device' || prevResult !== undefined) return;
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

test('the rows are all plugins that change or keep anything', () => {
  const others = ['static'];
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
