import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { CniCommand, CniInvocation, CniInvoker } from '#api/cni/invocation.ts';
import { parseResult } from '#api/cni/result.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { installPlugins } from './program/install.ts';
import { createResident } from './program/resident.ts';
import { createInvoker, createPluginRegistry } from './registry.ts';
import type { CniPlugin } from './skel/plugin.ts';
import { invokeProgram } from './skel/run-program.ts';

/** Our plugins on a real kernel, in this process and as programs, alone and with Debian's containernetworking-plugins. */
const isRoot = process.getuid?.() === 0;
const debianDir = '/usr/lib/cni';
const hasDebian = existsSync(join(debianDir, 'bridge'));

const netlink = createSyncNetlink();
const nft = createSyncNft();
const { signal } = new AbortController(); // The deadline is that of each test.
const netns = `/run/netns/podwright-test-cni-${process.pid}`;
const dir = scratchDirectory('podwright-test-cni-');
const ourDir = join(dir, 'bin');
const leaseDir = join(dir, 'leases');

/** Ours in this process, with programs for the rest. */
const inProcess: CniInvoker = createInvoker({ netlink, nft });

const ipam = {
  type: 'host-local',
  dataDir: leaseDir,
  ranges: [[{ subnet: '10.1.0.0/24' }]],
  routes: [{ dst: '0.0.0.0/0' }],
};
const bridgeConfig = {
  cniVersion: '1.0.0',
  name: 'net',
  type: 'bridge',
  bridge: 'br0',
  isDefaultGateway: true,
  ipMasq: true,
  mtu: 1400,
  hairpinMode: true,
  ipam,
};

function call(
  command: CniCommand,
  config: JsonObject & { readonly type: string },
  extra: Partial<CniInvocation> = {},
): CniInvocation {
  return {
    command,
    containerId: 'c1',
    netns,
    ifname: 'eth0',
    args: {},
    path: [ourDir, debianDir],
    config,
    ...extra,
  };
}

function leases(): readonly string[] {
  const names = existsSync(join(leaseDir, 'net')) ? readdirSync(join(leaseDir, 'net')) : [];
  return names.filter((name) => /^\d/.test(name));
}

async function links(of = ownNetns as Parameters<typeof netlink.state>[0]): Promise<readonly string[]> {
  return (await netlink.state(of)).links.map((link) => link.name);
}

const callers = [
  { name: 'in process', invoke: inProcess, path: [debianDir] },
  { name: 'as programs', invoke: invokeProgram, path: [ourDir] },
  { name: 'as programs of a resident', invoke: invokeProgram, path: [ourDir], isResident: true },
] as const;
const residentSocket = join(dir, 'resident.sock');

describe.skipIf(!isRoot)('CNI plugins on the kernel (needs root)', () => {
  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    await installPlugins({
      binDir: ourDir,
      nodePath: process.execPath,
      root: join(import.meta.dirname, '..'),
      sockets: [join(dir, 'no.sock'), residentSocket],
    });
  });
  beforeEach(async () => {
    await netlink.removeNetns(netns);
    await netlink.createNetns(netns);
    rmSync(leaseDir, { recursive: true, force: true });
  });
  afterAll(async () => {
    await netlink.removeNetns(netns);
  });

  describe.each(callers)('bridge and host-local $name', ({ invoke, path, ...caller }) => {
    let calls = 0;
    const resident = createResident({ ports: { netlink, nft }, onCalls: (count) => (calls += count) });
    beforeAll(async () => {
      if ('isResident' in caller) await once(resident.listen(residentSocket), 'listening');
    });
    afterAll(() => {
      resident.close();
      expect(calls > 0).toBe('isResident' in caller);
    });

    test('ADD gives what CHECK wants and what a packet needs; DEL twice leaves nothing', async () => {
      const document = await invoke('bridge', call('ADD', bridgeConfig, { path }), signal);
      const result = parseResult(document ?? {});
      expect(result.ips).toEqual([{ address: '10.1.0.2/24', gateway: '10.1.0.1', interface: 2 }]);
      expect(result.routes).toEqual([{ dst: '0.0.0.0/0', gw: '10.1.0.1' }]);
      expect(leases()).toEqual(['10.1.0.2']);
      expect(readFileSync(join(leaseDir, 'net/10.1.0.2'), 'utf8')).toBe('c1\r\neth0');

      const withResult = { ...bridgeConfig, prevResult: document };
      await invoke('bridge', call('CHECK', withResult, { path }), signal);
      const pod = await netlink.state({ kind: 'path', path: netns });
      expect(pod.links.find((link) => link.name === 'eth0')).toMatchObject({
        isUp: true,
        mtu: 1400,
        mac: '0a:58:0a:01:00:02',
      });
      expect(pod.routes.map((route) => route.destination)).toContain('default');

      await invoke('bridge', call('DEL', withResult, { path }), signal);
      await invoke('bridge', call('DEL', withResult, { path }), signal);
      expect(leases()).toEqual([]);
      expect((await links()).filter((name) => name.startsWith('veth'))).toEqual([]);
      expect(await links({ kind: 'path', path: netns })).toEqual(['lo']);
    });

    test('CHECK fails when somebody took the route or the address away', async () => {
      const document = await invoke('bridge', call('ADD', bridgeConfig, { path }), signal);
      const check = call('CHECK', { ...bridgeConfig, prevResult: document }, { path });
      await netlink.apply({ kind: 'path', path: netns }, [{ op: 'removeRoute', destination: 'default' }]);
      await expect(invoke('bridge', check, signal)).rejects.toThrow('default is missing');
      await netlink.apply({ kind: 'path', path: netns }, [
        { op: 'removeAddress', name: 'eth0', address: '10.1.0.2/24' },
      ]);
      await expect(invoke('bridge', check, signal)).rejects.toThrow('10.1.0.2/24 is missing');
    });

    test('an ADD that fails late gives the address back', async () => {
      const full = {
        ...bridgeConfig,
        ipam: { ...ipam, routes: [{ dst: '10.9.0.0/16', gw: '192.168.77.1' }] },
      };
      await expect(invoke('bridge', call('ADD', full, { path }), signal)).rejects.toThrow('10.9.0.0/16');
      expect(leases()).toEqual([]);
      expect((await links()).filter((name) => name.startsWith('veth'))).toEqual([]);
    });

    test('DEL without a namespace frees the address', async () => {
      const document = await invoke('bridge', call('ADD', bridgeConfig, { path }), signal);
      await netlink.removeNetns(netns);
      await invoke(
        'bridge',
        call('DEL', { ...bridgeConfig, prevResult: document }, { path, netns: '' }),
        signal,
      );
      expect(leases()).toEqual([]);
    });

    test('GC frees what is in no list, STATUS says when a range is full', async () => {
      const small = {
        ...bridgeConfig,
        cniVersion: '1.1.0',
        ipam: { ...ipam, ranges: [[{ subnet: '10.1.0.0/30' }]] },
      };
      const network = { containerId: '', netns: '', ifname: '', path };
      await invoke('bridge', call('STATUS', small, network), signal);
      await invoke('bridge', call('ADD', small, { path }), signal);
      await expect(invoke('bridge', call('STATUS', small, network), signal)).rejects.toMatchObject({
        detail: { cniCode: 50 },
      });
      const keep = [{ containerID: 'c1', ifname: 'eth0' }];
      await invoke('bridge', call('GC', { ...small, 'cni.dev/valid-attachments': keep }, network), signal);
      expect(leases()).toEqual(['10.1.0.2']);
      await invoke('bridge', call('GC', { ...small, 'cni.dev/valid-attachments': [] }, network), signal);
      expect(leases()).toEqual([]);
      expect((await links()).filter((name) => name.startsWith('veth'))).toEqual([]);
    });
  });

  const withNft = test.skipIf(!existsSync('/usr/sbin/nft'));
  withNft('portmap puts host ports into the kernel and takes them out again', async () => {
    const added = await inProcess('bridge', call('ADD', bridgeConfig), signal);
    const mappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
    const config = {
      cniVersion: '1.0.0',
      name: 'net',
      type: 'portmap',
      prevResult: added,
      runtimeConfig: { portMappings: mappings },
    };
    expect(await inProcess('portmap', call('ADD', config), signal)).toEqual(added);
    const list = (): string =>
      execFileSync('nft', ['list', 'map', 'ip', 'cni-portmap', 'ports'], { encoding: 'utf8' });
    expect(list()).toContain('tcp . 8080 : 10.1.0.2 . 80');
    const other = { ...config, prevResult: { ...added, ips: [{ version: '4', address: '10.1.0.9/24' }] } };
    await expect(inProcess('portmap', call('ADD', other), signal)).rejects.toThrow('host port is taken');
    // What is undone after that is not the first container's; nor is what nobody knows the address of.
    await inProcess('portmap', call('DEL', other), signal);
    await inProcess('portmap', call('DEL', { ...config, prevResult: undefined }), signal);
    expect(list()).toContain('tcp . 8080 : 10.1.0.2 . 80');
    await inProcess('portmap', call('DEL', config), signal);
    await inProcess('portmap', call('DEL', config), signal);
    expect(list()).not.toContain('8080');
  });

  withNft('portmap has flows of UDP follow the container that has the port', async () => {
    const added = await inProcess('bridge', call('ADD', bridgeConfig), signal);
    const configOf = (address: string, hostPort: number) => ({
      ...{ cniVersion: '1.0.0', name: 'net', type: 'portmap' },
      prevResult: { ...added, ips: [{ version: '4', address }] },
      runtimeConfig: { portMappings: [{ hostPort, containerPort: 9125, protocol: 'udp' }] },
    });
    await netlink.apply(ownNetns, [{ op: 'setLink', name: 'lo', up: true }]);
    const gateway = '10.1.0.1';
    // One socket that goes on sending, as statsd's clients do.
    const socket = createSocket('udp4').bind(0, gateway);
    await once(socket, 'listening');
    using _socket = { [Symbol.dispose]: () => socket.close() };
    const leadsTo = async (): Promise<readonly string[]> => {
      await new Promise((resolve) => void socket.send('x', 8125, gateway, resolve));
      const flows = await nft.flows(ownNetns, [gateway]);
      return flows
        .filter(({ protocol, source }) => protocol === 17 && source === gateway)
        .map(({ target }) => target);
    };
    socket.on('error', () => undefined); // Nobody listens on the host itself.
    // The kernel tracks connections once the table is there.
    await inProcess('portmap', call('ADD', configOf('10.1.0.2/24', 8124)), signal);
    expect(await leadsTo()).toEqual([gateway]);
    await inProcess('portmap', call('DEL', configOf('10.1.0.2/24', 8124)), signal);
    await inProcess('portmap', call('ADD', configOf('10.1.0.2/24', 8125)), signal);
    expect(await leadsTo()).toEqual(['10.1.0.2']);
    await inProcess('portmap', call('DEL', configOf('10.1.0.2/24', 8125)), signal);
    expect(await leadsTo()).toEqual([gateway]);
    await inProcess('portmap', call('ADD', configOf('10.1.0.3/24', 8125)), signal);
    expect(await leadsTo()).toEqual(['10.1.0.3']);
    await inProcess('portmap', call('DEL', configOf('10.1.0.3/24', 8125)), signal);
  });

  test('loopback brings lo up', async () => {
    const config = { cniVersion: '1.0.0', name: 'lo', type: 'loopback' };
    await inProcess('loopback', call('ADD', config, { ifname: 'lo' }), signal);
    await inProcess('loopback', call('CHECK', config, { ifname: 'lo' }), signal);
    const { links } = await netlink.state({ kind: 'path', path: netns });
    expect(links.find((link) => link.name === 'lo')?.isUp).toBe(true);
  });

  describe.skipIf(!hasDebian)("with Debian's plugins (package containernetworking-plugins)", () => {
    test("our bridge takes addresses from Debian's host-local", async () => {
      const viaPrograms: CniInvoker = createInvoker({
        netlink,
        nft,
        registry: registryWithout('host-local'),
      });
      const document = await viaPrograms('bridge', call('ADD', bridgeConfig, { path: [debianDir] }), signal);
      expect(parseResult(document ?? {}).ips[0]?.address).toBe('10.1.0.2/24');
      expect(leases()).toEqual(['10.1.0.2']);
      await viaPrograms(
        'bridge',
        call('DEL', { ...bridgeConfig, prevResult: document }, { path: [debianDir] }),
        signal,
      );
      expect(leases()).toEqual([]);
    });

    test("Debian's bridge takes addresses from our host-local program", async () => {
      const mixed = join(dir, 'mixed');
      execFileSync('mkdir', ['-p', mixed]);
      execFileSync('ln', ['-sf', join(debianDir, 'bridge'), join(ourDir, 'host-local'), mixed]);
      // Debian's bridge adds a default route of its own, and fails on a second one from IPAM, its own host-local's too.
      const plain = { ...bridgeConfig, ipMasq: false, bridge: 'br1', ipam: { ...ipam, routes: [] } };
      const document = await invokeProgram('bridge', call('ADD', plain, { path: [mixed] }), signal);
      expect(parseResult(document ?? {}).ips[0]?.address).toBe('10.1.0.2/24');
      await invokeProgram(
        'bridge',
        call('CHECK', { ...plain, prevResult: document }, { path: [mixed] }),
        signal,
      );
      await invokeProgram(
        'bridge',
        call('DEL', { ...plain, prevResult: document }, { path: [mixed] }),
        signal,
      );
      expect(leases()).toEqual([]);
    });

    test('either releases what the other reserved, and the cursor is shared', async () => {
      const alone = { cniVersion: '1.0.0', name: 'net', type: 'host-local', ipam };
      const debian = { path: [debianDir] };
      await invokeProgram('host-local', call('ADD', alone, { ...debian, containerId: 'd1' }), signal);
      const second = parseResult(
        (await inProcess('host-local', call('ADD', alone, { containerId: 'o1' }), signal)) ?? {},
      );
      expect(second.ips[0]?.address).toBe('10.1.0.3/24');
      const third = parseResult(
        (await invokeProgram('host-local', call('ADD', alone, { ...debian, containerId: 'd2' }), signal)) ??
          {},
      );
      expect(third.ips[0]?.address).toBe('10.1.0.4/24');
      await inProcess('host-local', call('DEL', alone, { containerId: 'd1' }), signal);
      await invokeProgram('host-local', call('DEL', alone, { ...debian, containerId: 'o1' }), signal);
      await inProcess('host-local', call('DEL', alone, { containerId: 'd2' }), signal);
      expect(leases()).toEqual([]);
    });
  });
});

function registryWithout(name: string): ReadonlyMap<string, CniPlugin> {
  const registry = new Map(createPluginRegistry());
  registry.delete(name);
  return registry;
}
