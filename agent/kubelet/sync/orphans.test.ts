import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { sandboxConfig } from '#agent/runtime/runtime.conformance.ts';
import { createFakeRuntime } from '#agent/runtime/runtime.fake.ts';
import { adoptOrphans, removeOrphanVolumes } from './orphans.ts';
import { createPodMemory, type PodMemories } from './pod-memory.ts';

it('adoptOrphans() takes pods that the API no longer has, to end them, and none of those that clients of CRI made', async () => {
  const clock = createFakeClock();
  const runtime = createFakeRuntime({ clock });
  const signal = new AbortController().signal;
  for (const uid of ['wanted', 'gone', 'cri-1']) await runtime.runSandbox(sandboxConfig(uid), signal);
  const memories: PodMemories = new Map();
  const queued: string[] = [];
  const source = { list: () => [{ metadata: { uid: 'wanted' }, spec: { containers: [] } }] };
  adoptOrphans(source, memories, {
    runtime,
    clock,
    enqueue: (uid) => void queued.push(uid),
    onOutcome: () => undefined,
  });
  expect([queued, [...memories.keys()]]).toEqual([['gone'], ['gone']]);
});

it('removeOrphanVolumes() keeps nobody from starting, and tries again until nothing is left', async () => {
  const clock = createFakeClock();
  const left = new Set(['known', 'gone', 'held']);
  let isDriverThere = false;
  const volumes = {
    mount: () => Promise.reject(new Error('not asked')),
    recall: async () => undefined,
    uids: async () => [...left],
    remove: async (uid: string) => {
      if (uid === 'held' && !isDriverThere) throw new Error('driver name d not found');
      left.delete(uid);
    },
  };
  const counts = { orphans: { cleaned: 0, failed: 0 } };
  const desired = { pod: { metadata: { uid: 'known' }, spec: { containers: [] } }, isPresent: true };
  const memories: PodMemories = new Map([['known', createPodMemory('known', desired, 0, () => undefined)]]);
  await using _sweep = await removeOrphanVolumes(memories, { volumes, clock, logger: silentLogger }, counts);

  expect([...left]).toEqual(['known', 'held']);
  expect(counts.orphans).toEqual({ cleaned: 1, failed: 1 });
  const pass = async (): Promise<void> => {
    clock.advance(2000);
    await untilQuiet();
  };
  await pass();
  expect(counts.orphans).toEqual({ cleaned: 0, failed: 1 });
  isDriverThere = true;
  await pass();
  expect([[...left], counts.orphans]).toEqual([['known'], { cleaned: 1, failed: 0 }]);
});
