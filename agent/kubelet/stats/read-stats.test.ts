import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { Pod } from '#api/generated/objects.ts';
import { usedBelow } from '#agent/kubelet/evict/used-below.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { createStatsReader } from './read-stats.ts';
import { renderSummary } from './summary.ts';
import { readOwnVolumes } from './volume-stats.ts';

it('createStatsReader() reads the machine that it is on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-stats-'));
  const read = createStatsReader({
    nodeName: 'n',
    runtime: createFakeRuntime({ clock: systemClock }),
    clock: systemClock,
    proc: {
      memory: () => ({ totalBytes: 2, availableBytes: 1, freeBytes: 1, swapTotalBytes: 0 }),
      cpuCount: () => 1,
      bootId: () => 'b',
      kernelRelease: () => 'k',
    },
    directories: {
      pods: directory,
      podsMemory: directory,
      volumes: directory,
      logs: directory,
      kubelet: directory,
    },
    pods: () => [],
  });
  const input = await read();
  rmSync(directory, { recursive: true });
  for (const value of [
    input.nodeCpuNanoseconds,
    input.nodeMemory.rssBytes,
    input.nodeMemory.pageFaults,
    input.disk.capacityBytes,
    input.agent.rssBytes,
    input.agent.cpuUsageNanoseconds,
  ])
    expect(value).toBeGreaterThan(0);
  expect(renderSummary(input)).toMatchObject({ node: { nodeName: 'n' }, pods: [] });
});

it('readOwnVolumes() counts what is made for the pod, on disk or in memory, and nothing of the host', async () => {
  const root = mkdtempSync(join(tmpdir(), 'podwright-stats-'));
  const [pods, podsMemory] = [join(root, 'disk'), join(root, 'memory')];
  const places: readonly (readonly [string, string, string])[] = [
    [pods, 'emptyDir', 'scratch'],
    [pods, 'emptyDir', 'shm'],
    [pods, 'configMap', 'settings'],
    [podsMemory, 'secret', 'key'],
    [podsMemory, 'projected', 'token'],
    [pods, 'downwardAPI', 'self'],
    [pods, 'hostPath', 'host'],
  ];
  for (const [place, field, name] of places) {
    const directory = join(place, 'u', 'volumes', field, name);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'file'), name);
  }
  const pod: Pod = {
    metadata: { uid: 'u' },
    spec: {
      containers: [],
      volumes: [
        { name: 'scratch', emptyDir: {} },
        { name: 'shm', emptyDir: { medium: 'Memory' } },
        { name: 'settings', configMap: { name: 'c' } },
        { name: 'key', secret: { secretName: 's' } },
        { name: 'token', projected: { sources: [] } },
        { name: 'self', downwardAPI: { items: [] } },
        { name: 'host', hostPath: { path: '/tmp' } },
        { name: 'due', emptyDir: {} },
      ],
    },
  };
  const found = await readOwnVolumes(
    pod,
    { pods, podsMemory },
    {
      usedBelow: (directory) => usedBelow(directory, Infinity),
      clock: systemClock,
    },
  );
  rmSync(root, { recursive: true });
  expect(found.map(({ name, isOnDisk }) => [name, isOnDisk])).toEqual([
    ['scratch', true],
    ['shm', false],
    ['settings', true],
    ['key', false],
    ['token', false],
    ['self', true],
  ]);
  for (const { fileSystem, used } of found) {
    expect(fileSystem.capacityBytes).toBeGreaterThan(0);
    expect(used).toEqual({ bytes: 4096, inodes: 1 });
  }
});
