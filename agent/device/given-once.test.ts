/** Whatever plugins do, and whenever the agent ends: no device is had by two pods that live, and who is admitted has all that it asked for. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createRandom } from '#base/random.fixture.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { Pod } from '#api/generated/objects.ts';
import { createDeviceManager, type DeviceManager } from './device-manager.ts';
import type { DevicePluginOptionsOf, Preference } from './device-plugin.ts';

const root = scratchDirectory('once-');
const gpu = 'example.com/gpu';
const all = ['d0', 'd1', 'd2', 'd3', 'd4', 'd5'];
const answer = { env: [], mounts: [], nodes: [], annotations: {}, cdiDevices: [] };

it('no device is given twice', async () => {
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  const random = createRandom(seed);
  const below = (count: number): number => Math.floor(random() * count);
  const some = (ids: readonly string[]): readonly string[] => ids.filter(() => below(2) === 0);
  const turns = async (): Promise<void> => {
    for (let turn = below(5); turn > 0; turn--) await Promise.resolve();
  };
  /** A plugin that is late, fails, and prefers what it was not offered, or twice the same. */
  const lists: (() => void)[] = [];
  const connect = async ({ onDevices }: DevicePluginOptionsOf) => {
    lists.push(() =>
      onDevices(
        new Map(
          all.map((id, index) => [
            id,
            { id, isHealthy: below(6) > 0, numaNodes: below(3) === 0 ? [] : [index % 2] },
          ]),
        ),
      ),
    );
    return {
      allocate: async () => {
        await turns();
        if (below(5) === 0) throw new Error('it crashed');
        return answer;
      },
      prefer: async ({ available }: Preference) => {
        await turns();
        if (below(6) === 0) throw new Error('it crashed');
        return [...some(all), ...some(available), ...some(available), 'none'];
      },
      preStart: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  const clock = createFakeClock();
  const checkpoint = join(root, 'devices.json');
  const live = new Map<string, number>(); // devices of each pod that was admitted
  const underWay = new Set<string>();
  const open = async (): Promise<DeviceManager> => {
    const options = { checkpoint, clock, connect, logger: silentLogger, onChange: () => undefined };
    const manager = await createDeviceManager(options);
    manager.collectBy((uid) => live.has(uid) || underWay.has(uid));
    await manager.connect({ resource: gpu, endpoint: '/x' });
    lists.at(-1)?.();
    return manager;
  };
  let manager = await open();
  let born = 0;

  const admit = async (): Promise<void> => {
    const counts = [1 + below(2), 1 + below(2)];
    const uid = `p${born++}`;
    const containers = counts.map((count, index) => ({
      ...{ name: `c${index}`, image: 'i' },
      resources: { limits: { [gpu]: String(count) } },
    }));
    const pod: Pod = { metadata: { uid }, spec: { containers } };
    const own = manager;
    underWay.add(uid);
    try {
      if (below(2) === 0) {
        const draft = own.begin(pod);
        for (const { name } of containers) draft.give(name, 1 << below(2));
        draft.keep();
      }
      const verdict = await own.admit(pod, new AbortController().signal);
      // An agent that was killed meanwhile starts nothing.
      if (verdict.kind === 'admitted' && own === manager)
        live.set(
          uid,
          counts.reduce((sum, count) => sum + count, 0),
        );
    } catch (error) {
      expect(String(error)).toMatch(/unavailable|no healthy devices/);
    } finally {
      underWay.delete(uid);
    }
  };

  for (let step = 0; step < 60; step++) {
    const admitted = Promise.all(Array.from({ length: below(4) }, admit));
    await turns();
    if (below(3) === 0) lists.at(-1)?.();
    if (below(6) === 0) {
      await manager.connect({ resource: gpu, endpoint: '/again' });
      lists.at(-1)?.();
    }
    const isKilled = below(6) === 0;
    // What it still does nobody sees: the next one reads what is on disk when its writes are done.
    const before = manager;
    if (isKilled) manager = {} as DeviceManager;
    await admitted;
    if (isKilled) {
      await before[Symbol.asyncDispose]();
      manager = await open();
    }
    const had = manager.allocations().filter(({ podUid }) => live.has(podUid));
    const ids = had.flatMap((each) => each.ids);
    expect(new Set(ids).size, `seed ${seed}, step ${step}`).toBe(ids.length);
    for (const [uid, count] of live) {
      const own = had.filter(({ podUid }) => podUid === uid).flatMap((each) => each.ids);
      expect(own.length, `seed ${seed}, step ${step}, ${uid}`).toBe(count);
    }
    for (const uid of live.keys()) if (below(2) === 0) live.delete(uid);
  }
  await manager[Symbol.asyncDispose]();
});
