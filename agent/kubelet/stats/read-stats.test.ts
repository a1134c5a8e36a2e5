import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { createStatsReader } from './read-stats.ts';
import { renderSummary } from './summary.ts';

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
