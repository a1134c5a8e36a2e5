/** Leases over real links, of a server of this test and of Debian's dnsmasq: ADD, CHECK, more time, DEL, and what is left. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '#base/clock.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { CniCommand, CniInvocation } from '#api/cni/invocation.ts';
import { parseResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { PacketSocket } from '#native/sys/packet-socket.ts';
import { createInvoker, createPluginRegistry } from '#cni-plugins/registry.ts';
import { startDhcpDaemon, type RunningDaemon } from './daemon.ts';
import { openDhcpLink } from './open-link.linux.ts';
import { createTestServer } from './server.fixture.ts';

const isRoot = process.getuid?.() === 0;
const dnsmasq = '/usr/sbin/dnsmasq';
const netlink = createSyncNetlink();
const dir = scratchDirectory('podwright-dhcp-');
const [pod, lan] = ['pod', 'lan'].map((name) => join(dir, name));
const inPod = { kind: 'path', path: pod ?? '' } as const;
const inLan = { kind: 'path', path: lan ?? '' } as const;
const signal = AbortSignal.timeout(120_000);
/** More time is asked for soon. */
const hasty: Clock = {
  ...systemClock,
  after: (ms, callback) => systemClock.after(Math.min(ms, 300), callback),
};

interface Server extends AsyncDisposable {
  /** The addresses that it has given. */
  leases(): readonly string[];
  /** How many requests it has granted. */
  granted(): number;
}

async function startTestServer(): Promise<Server> {
  const { links } = await netlink.state(inLan);
  const link = links.find(({ name }) => name === 'srv0');
  const socket = new PacketSocket({ netns: inLan.path, linkIndex: link?.index ?? 0, etherType: 0x0800 });
  const server = createTestServer();
  const timer = setInterval(() => {
    for (let frame = socket.receiveNow(); frame !== undefined; frame = socket.receiveNow()) {
      const reply = server.answer(frame);
      if (reply !== undefined) socket.send(reply);
    }
  }, 5);
  const grants = (): number => server.heard.filter((line) => line.startsWith('REQUEST')).length;
  return {
    leases: () =>
      grants() > 0 && !server.heard.some((line) => line.startsWith('RELEASE')) ? ['10.9.0.5'] : [],
    granted: grants,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      socket[Symbol.dispose]();
    },
  };
}

async function startDnsmasq(): Promise<Server> {
  const [leaseFile, log] = [join(dir, 'dnsmasq.leases'), join(dir, 'dnsmasq.log')];
  const options = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--port=0',
    '--interface=srv0',
    '--no-ping',
  ];
  const range = ['--dhcp-range=10.9.0.50,10.9.0.60,2m', '--dhcp-authoritative', '--log-dhcp'];
  const files = [`--dhcp-leasefile=${leaseFile}`, `--log-facility=${log}`, '--user=root', '--pid-file'];
  const child: ChildProcess = spawn(
    'nsenter',
    [`--net=${inLan.path}`, dnsmasq, ...options, ...range, ...files],
    {
      stdio: 'ignore',
    },
  );
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  await expect.poll(() => read(log), { timeout: 30_000 }).toContain('DHCP, IP range');
  return {
    leases: () => read(leaseFile).match(/10\.9\.0\.\d+/g) ?? [],
    granted: () => read(log).match(/DHCPACK\(srv0\)/g)?.length ?? 0,
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

const servers = [
  { name: 'a server of this test', start: startTestServer, isMissing: false },
  { name: "Debian's dnsmasq (package dnsmasq-base)", start: startDnsmasq, isMissing: !existsSync(dnsmasq) },
];

const kinds: readonly JsonObject[] = [
  { type: 'bridge', bridge: 'br0' },
  { type: 'macvlan', master: 'up0' },
];

describe.skipIf(!isRoot)('dhcp (needs root)', () => {
  let daemon: RunningDaemon;
  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    for (const { path } of [inPod, inLan]) await netlink.createNetns(path);
    await netlink.apply(ownNetns, [
      { op: 'addLink', name: 'br0', link: { kind: 'bridge' } },
      { op: 'setLink', name: 'br0', up: true },
      { op: 'addLink', name: 'srv', link: { kind: 'veth', peerName: 'srv0', peerNetns: inLan } },
      { op: 'setLink', name: 'srv', master: 'br0', up: true },
      { op: 'addLink', name: 'up0', link: { kind: 'veth', peerName: 'up1' } },
      { op: 'setLink', name: 'up1', master: 'br0', up: true },
      { op: 'setLink', name: 'up0', up: true },
    ]);
    await netlink.apply(inLan, [
      { op: 'setLink', name: 'srv0', up: true },
      { op: 'ensureAddress', name: 'srv0', address: '10.9.0.1/24' },
    ]);
    daemon = await startDhcpDaemon({
      netlink,
      openLink: (netns, ifname) => openDhcpLink(netlink, netns, ifname),
      stateDir: join(dir, 'state'),
      clock: hasty,
      random: Math.random,
      onProblem: (problem) => expect.unreachable(problem),
    });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    for (const { path } of [inPod, inLan]) await netlink.removeNetns(path);
  });

  describe.each(servers)('$name', ({ start, isMissing }) => {
    test.skipIf(isMissing).each(kinds)('%j', { timeout: 60_000 }, async (kind) => {
      await using server = await start();

      const registry = createPluginRegistry(undefined, daemon);
      const invoke = createInvoker({ netlink, nft: createSyncNft(), registry });
      const type = String(kind['type']);
      const config = { cniVersion: '1.1.0', name: 'lan', type, ...kind, ipam: { type: 'dhcp' } };
      const call = (command: CniCommand, extra: JsonObject = {}): CniInvocation => ({
        command,
        containerId: 'c1',
        netns: inPod.path,
        ifname: 'eth0',
        args: {},
        path: [],
        config: { ...config, ...extra },
      });
      const before = (await netlink.state(ownNetns)).links.map(({ name }) => name);

      const prevResult = await invoke(type, call('ADD'), signal);
      const { ips, routes, interfaces } = parseResult(prevResult ?? {});
      expect(ips[0]?.address).toMatch(/^10\.9\.0\.\d+\/24$/);
      expect(routes).toEqual([{ dst: '0.0.0.0/0', gw: '10.9.0.1' }]);
      const state = await netlink.state(inPod);
      const eth0 = state.links.find(({ name }) => name === 'eth0');
      expect(eth0?.mac).toBe(interfaces.find(({ sandbox }) => sandbox !== undefined)?.mac);
      expect(state.addresses.map(({ address }) => address)).toContain(ips[0]?.address);
      expect(state.routes).toContainEqual(
        expect.objectContaining({ destination: 'default', gateway: '10.9.0.1' }),
      );
      await invoke(type, call('CHECK', { prevResult }), signal);
      await expect.poll(() => server.granted(), { timeout: 30_000 }).toBeGreaterThan(2);
      expect(server.leases()).toEqual([ips[0]?.address.replace('/24', '')]);

      await invoke(type, call('DEL', { prevResult }), signal);
      await invoke(type, call('DEL', { prevResult }), signal);
      await expect(invoke(type, call('CHECK', { prevResult }), signal)).rejects.toMatchObject({
        detail: { cniCode: 3 },
      });
      await expect.poll(() => server.leases(), { timeout: 30_000 }).toEqual([]);
      expect((await netlink.state(ownNetns)).links.map(({ name }) => name)).toEqual(before);
    });
  });
});
