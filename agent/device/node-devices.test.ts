import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, systemClock, type Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { Container, Pod } from '#api/generated/objects.ts';
import { startPluginWatcher } from '#agent/plugin/plugin-watcher.ts';
import {
  healthyDevices,
  startDeviceDriver,
  startRegisteredDriver,
  type DeviceDriver,
  type DriverBehaviour,
} from './device-driver.fixture.ts';
import { comeBackMs } from './device-manager.ts';
import { goneGraceMs } from './device.ts';
import { startNodeDevices, type NodeDevices } from './node-devices.ts';

const root = scratchDirectory('dev-');
const signal = new AbortController().signal;
const gpu = 'example.com/gpu';
let directory: string;
let count = 0;

beforeEach(() => {
  directory = join(root, String(count++));
});

const start = (clock: Clock = systemClock): Promise<NodeDevices> =>
  startNodeDevices({
    directory,
    stateDirectory: directory,
    cdiDirectories: [join(directory, 'cdi')],
    clock,
    logger: silentLogger,
  });

let sockets = 0;
async function drive(behaviour: DriverBehaviour, resource = gpu): Promise<DeviceDriver> {
  const driver = await startDeviceDriver(join(directory, 'device-plugins', `p${sockets++}`), behaviour);
  await driver.register(resource);
  return driver;
}

const amountsOf = (devices: NodeDevices): unknown => devices.amounts().get(gpu);
const free = (devices: NodeDevices, capacity: number, allocatable = capacity): Promise<void> =>
  expect.poll(() => amountsOf(devices)).toEqual({ capacity, allocatable });

const wants = (name: string, amount: number, more: Partial<Container> = {}): Container => ({
  name,
  image: 'x',
  resources: { limits: { [gpu]: String(amount) } },
  ...more,
});
const pod = (
  uid: string,
  containers: readonly Container[],
  initContainers: readonly Container[] = [],
): Pod => ({
  metadata: { uid, name: uid, namespace: 'default' },
  spec: { containers, initContainers },
});
const idsOf = (devices: NodeDevices, uid: string, container: string): readonly string[] =>
  devices.manager.ofContainer(uid, container).flatMap(({ ids }) => ids);

const refused = (why: string): unknown => ({
  kind: 'refused',
  message: `Allocate failed due to ${why}, which is unexpected`,
});

describe('a device', () => {
  it('is given to one container, and to another when the first pod is over', async () => {
    await using devices = await start();
    await using _driver = await drive({ devices: healthyDevices('a', 'b') });
    await free(devices, 2);
    const verdicts = await Promise.all(
      ['one', 'two', 'three'].map((uid) => devices.admit(pod(uid, [wants('c', 1)]), signal)),
    );
    expect(verdicts.map(({ kind }) => kind)).toEqual(['admitted', 'admitted', 'refused']);
    expect(verdicts[2]).toEqual(
      refused(`requested number of devices unavailable for ${gpu}. Requested: 1, Available: 0`),
    );
    expect([...idsOf(devices, 'one', 'c'), ...idsOf(devices, 'two', 'c')].toSorted()).toEqual(['a', 'b']);
    devices.collectBy((uid) => uid !== 'one');
    expect(await devices.admit(pod('three', [wants('c', 1)]), signal)).toEqual({ kind: 'admitted' });
  });

  it('passes from init containers to those after them, and stays with a sidecar', async () => {
    await using devices = await start();
    await using _driver = await drive({ devices: healthyDevices('a', 'b', 'c') });
    await free(devices, 3);
    const init = [wants('i1', 2), wants('side', 1, { restartPolicy: 'Always' }), wants('i2', 2)];
    expect(await devices.admit(pod('p', [wants('m', 2)], init), signal)).toEqual({ kind: 'admitted' });
    expect(['i1', 'side', 'i2', 'm'].map((name) => idsOf(devices, 'p', name).join())).toEqual([
      'a,b',
      'a',
      'b,c',
      'b,c',
    ]);
  });

  it('stays with its container over a restart of the agent, which its plugin may outlast', async () => {
    const answer = { envs: { GPU: 'one' } };
    const behaviour = { devices: healthyDevices('a'), allocate: async () => answer };
    {
      await using devices = await start();
      await using _driver = await drive(behaviour);
      await free(devices, 1);
      await devices.admit(pod('p', [wants('c', 1)]), signal);
    }
    const clock = createFakeClock();
    await using devices = await start(clock);
    expect(amountsOf(devices)).toEqual({ capacity: 1, allocatable: 0 });
    expect(await devices.admit(pod('p', [wants('c', 1)]), signal)).toEqual({ kind: 'admitted' });
    expect((await devices.start(pod('p', [wants('c', 1)]), 'c', signal)).env).toEqual([
      { name: 'GPU', value: 'one' },
    ]);
    expect(devices.healthOf('p').get('c')).toEqual([
      { name: gpu, resources: [{ resourceID: 'a', health: 'Unknown' }] },
    ]);
    const other = pod('q', [wants('c', 1)]);
    expect(await devices.admit(other, signal)).toMatchObject({ kind: 'notYet' });
    clock.advance(comeBackMs);
    const why = `no healthy devices present; cannot allocate unhealthy devices ${gpu}`;
    expect(await devices.admit(other, signal)).toEqual(refused(why));
    await using _driver = await drive(behaviour);
    await free(devices, 1);
    expect(await devices.admit(other, signal)).toEqual(
      refused(`requested number of devices unavailable for ${gpu}. Requested: 1, Available: 0`),
    );
  });

  it('that fails shows so, and is not given', async () => {
    await using devices = await start();
    await using driver = await drive({ devices: healthyDevices('a', 'b') });
    await free(devices, 2);
    await devices.admit(pod('p', [wants('c', 1)]), signal);
    driver.list([
      { ID: 'a', health: 'Odd' },
      { ID: 'b', health: 'Unhealthy' },
    ]);
    await free(devices, 2, 0);
    expect(devices.healthOf('p').get('c')?.[0]?.resources).toEqual([
      { resourceID: 'a', health: 'Unhealthy' },
    ]);
    const why = `no healthy devices present; cannot allocate unhealthy devices ${gpu}`;
    expect(await devices.admit(pod('q', [wants('c', 1)]), signal)).toEqual(refused(why));
  });
});

describe('a plugin', () => {
  it('that goes leaves its resource for the grace, and takes it on again when it comes back', async () => {
    const clock = createFakeClock();
    await using devices = await start(clock);
    {
      await using _driver = await drive({ devices: healthyDevices('a') });
      await free(devices, 1);
    }
    await free(devices, 1, 0);
    clock.advance(goneGraceMs);
    expect(amountsOf(devices)).toEqual({ capacity: 0, allocatable: 0 });
    await using _driver = await drive({ devices: healthyDevices('a', 'b') });
    await free(devices, 2);
  });

  it('that another replaces lists no more', async () => {
    await using devices = await start();
    await using first = await drive({ devices: healthyDevices('a') });
    await free(devices, 1);
    await using _second = await drive({ devices: healthyDevices('x', 'y', 'z') });
    await free(devices, 3);
    first.list(healthyDevices('a', 'b'));
    await devices.admit(pod('p', [wants('c', 3)]), signal);
    expect(idsOf(devices, 'p', 'c')).toEqual(['x', 'y', 'z']);
  });

  it('that lists rubbish, or nothing, is gone', async () => {
    await using devices = await start();
    await using _twice = await drive({ devices: healthyDevices('a', 'a') });
    await expect.poll(() => amountsOf(devices)).toEqual({ capacity: 0, allocatable: 0 });
    await using _none = await drive({ devices: [] });
    expect(await devices.admit(pod('p', [wants('c', 1)]), signal)).toMatchObject({ kind: 'notYet' });
  });

  it.each([
    [async () => Promise.reject(new Error('no power')), 'no power'],
    [async () => ({ devices: [{ host_path: 'dev/x' }] }), 'it answered with path "dev/x"'],
    [async () => ({ envs: { 'A=B': 'c' } }), 'it answered with environment variable "A=B"'],
    [async () => ({ devices: [{ host_path: '/dev/null', permissions: 'x' }] }), 'permissions "x"'],
  ] satisfies [DriverBehaviour['allocate'], string][])(
    'that refuses, or answers with rubbish, leaves nothing taken: %#',
    async (allocate, why) => {
      await using devices = await start();
      let isBad = true;
      const once: DriverBehaviour['allocate'] = async () => (isBad ? allocate() : {});
      await using _driver = await drive({ devices: healthyDevices('a', 'b'), allocate: once });
      await free(devices, 2);
      const both = pod('p', [wants('c', 1), wants('d', 1)]);
      const verdict = await devices.admit(both, signal);
      expect(verdict).toMatchObject({ kind: 'refused', message: expect.stringContaining(why) });
      isBad = false;
      expect(await devices.admit(pod('q', [wants('c', 2)]), signal)).toEqual({ kind: 'admitted' });
    },
  );

  it('is asked which devices it would give, and told of each start', async () => {
    await using devices = await start();
    const told: string[] = [];
    await using driver = await drive({
      devices: healthyDevices('a', 'b', 'c'),
      options: { get_preferred_allocation_available: true, pre_start_required: true },
      prefer: () => ['nowhere', 'c'],
      preStart: (ids) => void told.push(ids.join()),
    });
    await free(devices, 3);
    const wanting = pod('p', [wants('c', 2)]);
    await devices.admit(wanting, signal);
    expect(driver.allocated).toEqual([['c', 'a']]);
    await devices.start(wanting, 'c', signal);
    await devices.start(wanting, 'c', signal);
    expect(told).toEqual(['c,a', 'c,a']);
  });

  it('registers by the directory of plugins, too, and is gone with its socket', async () => {
    await using devices = await start();
    await using _watcher = await startPluginWatcher({
      directory: join(directory, 'r'),
      handlers: { DevicePlugin: devices.handler },
      clock: systemClock,
      logger: silentLogger,
      timeoutMs: 30_000,
    });
    {
      await using _driver = await startRegisteredDriver(join(directory, 'r', 's'), gpu, {
        devices: healthyDevices('a'),
      });
      await free(devices, 1);
    }
    await free(devices, 1, 0);
  });

  it.each([
    [gpu, 'v2', 'requested API version "v2" is not supported by kubelet. Supported version is "v1beta1"'],
    ['gpu', 'v1beta1', 'the ResourceName "gpu" is invalid'],
    ['kubernetes.io/x', 'v1beta1', 'the ResourceName "kubernetes.io/x" is invalid'],
  ])('%s %s is not taken', async (resource, version, why) => {
    await using _devices = await start();
    await using driver = await startDeviceDriver(join(directory, 'device-plugins', 's'), { devices: [] });
    await expect(driver.register(resource, version)).rejects.toMatchObject({ detail: { details: why } });
  });
});

it('a checkpoint that is damaged refuses pods that want devices, and no others', async () => {
  mkdirSync(directory);
  writeFileSync(join(directory, 'devices.json'), '{"version":1,"data":"{}","sha256":"0"}');
  await using devices = await start();
  await using _driver = await drive({ devices: healthyDevices('a') });
  await free(devices, 1);
  expect(await devices.admit(pod('p', [wants('c', 1)]), signal)).toMatchObject({
    kind: 'refused',
    message: expect.stringContaining('its checksum is another'),
  });
  expect(await devices.admit(pod('p', [{ name: 'c' }]), signal)).toEqual({ kind: 'admitted' });
  expect(readFileSync(join(directory, 'devices.json'), 'utf8')).toContain('"sha256":"0"');
});

it('a container gets what plugins and CDI files say', async () => {
  await using devices = await start();
  mkdirSync(join(directory, 'cdi'));
  const edits = { deviceNodes: [{ path: '/dev/gpu0', hostPath: '/dev/zero', permissions: 'r' }] };
  writeFileSync(
    join(directory, 'cdi', 'gpu.yaml'),
    JSON.stringify({
      cdiVersion: '0.7.0',
      kind: 'example.com/gpu',
      devices: [{ name: '0', containerEdits: edits }],
      containerEdits: {
        env: ['CDI=a=b'],
        additionalGids: [7],
        mounts: [{ hostPath: directory, containerPath: '/lib/gpu', options: ['ro'] }],
      },
    }),
  );
  await using _driver = await drive({
    devices: healthyDevices('a'),
    allocate: async () => ({
      devices: [{ host_path: '/dev/null', container_path: '/dev/mine', permissions: 'rw' }],
      mounts: [{ host_path: '/dev/null', container_path: '/x', read_only: true }],
      annotations: { 'cdi.k8s.io/gpu': 'example.com/gpu=0' },
    }),
  });
  await free(devices, 1);
  const wanting = pod('p', [wants('c', 1)]);
  await devices.admit(wanting, signal);
  expect(await devices.start(wanting, 'c', signal)).toMatchObject({
    env: [{ name: 'CDI', value: 'a=b' }],
    additionalGids: [7],
    devices: [
      { path: '/dev/mine', type: 'c', major: 1, minor: 3, access: 'rw' },
      { path: '/dev/gpu0', type: 'c', major: 1, minor: 5, access: 'r' },
    ],
    mounts: [
      { source: '/dev/null', target: '/x', isFile: true, options: ['rbind', 'rprivate', 'ro'] },
      { source: directory, target: '/lib/gpu', isFile: false, options: ['rbind', 'ro'] },
    ],
  });
  expect((await devices.start(pod('p', [{ name: 'd' }]), 'd', signal)).devices).toEqual([]);
});
