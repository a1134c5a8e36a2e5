import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { CniInvocation, CniInvoker } from '#api/cni/invocation.ts';
import { parseNetworkConfigList } from '#api/cni/network-config.ts';
import { createPodNetwork } from './cni-pod-network.ts';
import { renderDefaultConflist, writeDefaultConflist } from './conflist-dir.ts';
import type { PodNetwork } from './pod-network.ts';

const signal = new AbortController().signal;
const request = {
  sandboxId: 's1',
  netnsPath: '/run/netns/s1',
  podUid: 'u1',
  podNamespace: 'default',
  podName: 'web',
  portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIp: '' }],
};

interface Recorded {
  readonly line: string;
  readonly invocation: CniInvocation;
}

let dir: string;
let calls: Recorded[];
/** The call (`portmap ADD`) that fails. */
let failing: string;
/** The call that gives no answer before this. */
let hanging: { readonly line: string; readonly until: Promise<never> } | undefined;

const invoke: CniInvoker = async (plugin, invocation): Promise<JsonObject | undefined> => {
  const line = `${plugin} ${invocation.command}`;
  calls.push({ line, invocation });
  if (line === hanging?.line) await hanging.until;
  if (line === failing) throw new PodwrightError('E_INTERNAL', `${line} refused`);
  if (invocation.command !== 'ADD') return undefined;
  if (plugin !== 'bridge')
    return (invocation.config['prevResult'] as JsonObject | undefined) ?? { cniVersion: '1.1.0' };
  const interfaces = [{ name: 'veth0' }, { name: 'eth0', sandbox: invocation.netns }];
  return {
    cniVersion: '1.1.0',
    interfaces,
    ips: [{ address: '10.244.0.5/32', gateway: '10.244.0.1', interface: 1 }],
  };
};

const lines = (): readonly string[] => calls.map((call) => call.line);
const resultFiles = (): readonly string[] => readdirSync(join(dir, 'cache/results'));

async function open(): Promise<PodNetwork> {
  await writeDefaultConflist(join(dir, 'net.d'), {
    podCidrs: ['10.244.0.0/24'],
    leaseDir: join(dir, 'leases'),
  });
  return createPodNetwork({
    invoke,
    conflistDir: join(dir, 'net.d'),
    binDirs: ['/opt/cni/bin'],
    cacheDir: join(dir, 'cache'),
  });
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'podwright-test-network-'));
  calls = [];
  failing = '';
  hanging = undefined;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('createPodNetwork()', () => {
  test('ADD calls loopback, then the chain with the results handed on, and keeps the last one', async () => {
    const network = await open();
    expect(await network.add(request, signal)).toEqual({ ips: ['10.244.0.5'] });
    expect(lines()).toEqual(['loopback ADD', 'bridge ADD', 'portmap ADD', 'bandwidth ADD']);
    const [loopback, bridge, portmap] = calls.map((call) => call.invocation);
    expect(loopback).toMatchObject({ ifname: 'lo' });
    expect(bridge).toMatchObject({
      containerId: 's1',
      netns: '/run/netns/s1',
      ifname: 'eth0',
      path: ['/opt/cni/bin'],
    });
    expect(bridge?.args).toMatchObject({
      K8S_POD_NAME: 'web',
      K8S_POD_NAMESPACE: 'default',
      K8S_POD_UID: 'u1',
    });
    expect(bridge?.config['runtimeConfig']).toBeUndefined();
    expect(portmap?.config).toMatchObject({
      prevResult: { ips: [{ address: '10.244.0.5/32' }] },
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }] },
    });
    const file = JSON.parse(readFileSync(join(dir, 'cache/results/podwright-s1-eth0'), 'utf8')) as JsonObject;
    expect(file).toMatchObject({
      kind: 'cniCacheV1',
      containerId: 's1',
      ifName: 'eth0',
      networkName: 'podwright',
    });
  });

  const checks = ['bridge CHECK', 'portmap CHECK', 'bandwidth CHECK'];

  test('ADD again answers from the cache, where CHECK finds all as it was', async () => {
    const network = await open();
    await network.add(request, signal);
    calls = [];
    expect(await network.add(request, signal)).toEqual({ ips: ['10.244.0.5'] });
    expect(lines()).toEqual(checks);
  });

  test('ADD again makes anew what CHECK finds damaged', async () => {
    const network = await open();
    await network.add(request, signal);
    calls = [];
    failing = 'bridge CHECK';
    expect(await network.add(request, signal)).toEqual({ ips: ['10.244.0.5'] });
    expect(lines().slice(0, 5)).toEqual([
      'bridge CHECK',
      'bandwidth DEL',
      'portmap DEL',
      'bridge DEL',
      'loopback ADD',
    ]);
    expect(lines().at(-1)).toBe('bandwidth ADD');
  });

  test('check() tells who is damaged of those asked for', async () => {
    const network = await open();
    await network.add(request, signal);
    expect(await network.check(['s1'], signal)).toEqual([]);
    failing = 'portmap CHECK';
    expect(await network.check(['s1'], signal)).toEqual([
      { sandboxId: 's1', problem: expect.stringContaining('portmap CHECK refused') },
    ]);
    expect(await network.check(['other'], signal)).toEqual([]);
  });

  test("a pod's bandwidth is the capability of the plugin that has it", async () => {
    const network = await open();
    await network.add({ ...request, bandwidth: { ingressBits: 100_000_000, egressBits: 1e15 } }, signal);
    const asked = calls.find(({ line }) => line === 'bandwidth ADD')?.invocation.config['runtimeConfig'];
    expect(asked).toEqual({
      bandwidth: {
        ingressRate: 100_000_000,
        ingressBurst: 10_000_000,
        egressRate: 34_359_738_360,
        egressBurst: 3_435_973_836,
      },
    });
    expect(
      calls.find(({ line }) => line === 'bridge ADD')?.invocation.config['runtimeConfig'],
    ).toBeUndefined();
  });

  test('DEL goes backwards with what ADD returned, even when the configuration is gone', async () => {
    await (await open()).add(request, signal);
    rmSync(join(dir, 'net.d'), { recursive: true });
    calls = [];
    const network = createPodNetwork({
      invoke,
      conflistDir: join(dir, 'net.d'),
      binDirs: [],
      cacheDir: join(dir, 'cache'),
    });
    await network.del(request, signal);
    expect(lines()).toEqual(['bandwidth DEL', 'portmap DEL', 'bridge DEL']);
    expect(calls[0]?.invocation.config).toMatchObject({
      prevResult: { ips: [{ address: '10.244.0.5/32' }] },
    });
    expect(calls[1]?.invocation.config['runtimeConfig']).toMatchObject({
      portMappings: [{ hostPort: 8080 }],
    });
    expect(resultFiles()).toEqual([]);
  });

  test('a chain that is cut off in the middle is taken down with what there was', async () => {
    const network = await open();
    const cutOff = Promise.withResolvers<never>();
    hanging = { line: 'portmap ADD', until: cutOff.promise };
    const adding = network.add(request, signal);
    await expect.poll(lines).toContain('portmap ADD');
    calls = []; // The agent was killed here; this is the next one.
    await (await open()).del(request, signal);
    expect(lines()).toEqual(['bandwidth DEL', 'portmap DEL', 'bridge DEL']);
    expect(calls[0]?.invocation.config).toMatchObject({
      prevResult: { ips: [{ address: '10.244.0.5/32' }] },
    });
    cutOff.reject(new Error('killed'));
    await expect(adding).rejects.toThrow('killed');
  });

  test('a chain that fails is taken down whole, and a later ADD starts anew', async () => {
    const network = await open();
    failing = 'portmap ADD';
    await expect(network.add(request, signal)).rejects.toThrow('portmap ADD refused');
    expect(lines().slice(0, 3)).toEqual(['loopback ADD', 'bridge ADD', 'portmap ADD']);
    expect(lines().slice(3)).toEqual(['bandwidth DEL', 'portmap DEL', 'bridge DEL']);
    expect(resultFiles()).toEqual([]);
    failing = '';
    expect(await network.add(request, signal)).toEqual({ ips: ['10.244.0.5'] });
  });

  test('DEL that fails keeps the result for the next try', async () => {
    const network = await open();
    await network.add(request, signal);
    failing = 'bridge DEL';
    await expect(network.del(request, signal)).rejects.toThrow('bridge DEL refused');
    expect(resultFiles()).toHaveLength(1);
    failing = '';
    await network.del(request, signal);
    expect(resultFiles()).toEqual([]);
  });

  test('collect() takes down what belongs to no sandbox, and tells the plugins which are left', async () => {
    const network = await open();
    await network.add(request, signal);
    await network.add({ ...request, sandboxId: 's2', netnsPath: '/run/netns/s2' }, signal);
    calls = [];
    await network.collect(['s2'], signal);
    const all = ['bandwidth DEL', 'portmap DEL', 'bridge DEL', 'bridge GC', 'portmap GC', 'bandwidth GC'];
    expect(lines()).toEqual(all);
    expect(calls[0]?.invocation).toMatchObject({ containerId: 's1', netns: '' });
    expect(calls[3]?.invocation.config['cni.dev/valid-attachments']).toEqual([
      { containerID: 's2', ifname: 'eth0' },
    ]);
    expect(resultFiles()).toEqual(['podwright-s2-eth0']);
  });

  test('status() says why there is no network', async () => {
    const network = await open();
    expect(await network.status()).toEqual({ isReady: true, reason: '' });
    failing = 'bridge STATUS';
    expect(await network.status()).toEqual({ isReady: false, reason: 'bridge STATUS refused' });
    writeFileSync(join(dir, 'net.d/10-broken.conflist'), '{');
    expect(await network.status()).toMatchObject({
      isReady: false,
      reason: expect.stringContaining('10-broken.conflist'),
    });
    rmSync(join(dir, 'net.d'), { recursive: true });
    expect(await network.status()).toMatchObject({
      isReady: false,
      reason: expect.stringContaining('no network configuration'),
    });
  });

  test('del() of a pod whose ADD was refused gives back what the others gave, and says who refused', async () => {
    const network = await open();
    failing = 'portmap ADD';
    await expect(network.add(request, signal)).rejects.toThrow('portmap ADD refused');
    calls = [];
    failing = 'portmap DEL';
    await expect(network.del(request, signal)).rejects.toThrow('portmap DEL refused');
    expect(lines()).toEqual(['bandwidth DEL', 'portmap DEL', 'bridge DEL']);
    failing = '';
    await network.del(request, signal);
  });

  test('a DEL after the collection of the start looks at no file of others', async () => {
    await (await open()).add({ ...request, sandboxId: 's1' }, signal);
    const network = await open();
    await network.collect(['s1'], signal);
    await network.add({ ...request, sandboxId: 's2' }, signal);
    rmSync(join(dir, 'net.d'), { recursive: true });
    for (const name of resultFiles()) writeFileSync(join(dir, 'cache/results', name), 'not read again');
    for (const sandboxId of ['s1', 's2']) {
      calls = [];
      await network.del({ ...request, sandboxId }, signal);
      expect(lines()).toEqual(['bandwidth DEL', 'portmap DEL', 'bridge DEL']);
    }
    expect(resultFiles()).toEqual([]);
  });

  test('del() and collect() do not insist on a configuration that cannot be read', async () => {
    const network = await open();
    writeFileSync(join(dir, 'net.d', '10-broken.conflist'), '{"cniVersion":');
    await expect(network.add(request, signal)).rejects.toThrow('read network configuration');
    calls = [];
    await network.del(request, signal);
    await network.collect([], signal);
    expect(lines()).toEqual([]);
  });
});

test('the default network is a list that parses', () => {
  const list = parseNetworkConfigList(
    renderDefaultConflist({ podCidrs: ['10.244.0.0/24', 'fd00::/64'], leaseDir: '/x', mtu: 1400 }),
  );
  expect(list.plugins.map((plugin) => plugin.type)).toEqual(['bridge', 'portmap', 'bandwidth']);
  expect(list.plugins[0]).toMatchObject({
    mtu: 1400,
    routed: true,
    ipam: { ranges: [[{ subnet: '10.244.0.0/24' }], [{ subnet: 'fd00::/64' }]] },
  });
});
