import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { PodwrightError } from '#base/errors.ts';
import { FakeImageStore } from '#agent/runtime/images/image-store.fake.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { ImageCollector, watchImages } from './collect-images.ts';
import { defaultImageGcPolicy, type ImageGcPolicy } from './image-gc.ts';

const minute = 60_000;

/** A disk of 1000 bytes, of which each image takes 100 and other things the rest. */
function createNode(change: Partial<ImageGcPolicy> = {}, pinned: readonly string[] = []) {
  const clock = createFakeClock(1_000_000_000);
  const images = new FakeImageStore(clock);
  const world = { otherBytes: 0, diskBytes: 1000, used: [] as string[], mounted: [] as string[] };
  const told: string[] = [];
  const observed = (): readonly PodObservation[] => [
    {
      uid: 'u',
      namespace: 'default',
      name: 'p',
      sandbox: undefined,
      containers: world.used.map((imageId) => ({
        id: imageId,
        name: 'c',
        attempt: 0,
        image: imageId,
        imageId,
        logPath: undefined,
        state: { state: 'created' },
        mountedImages: world.mounted.map((id) => ({ target: '/files', imageId: id })),
      })),
    },
  ];
  const options = {
    runtime: { images, observeAll: observed },
    policy: { ...defaultImageGcPolicy, ...change },
    pinned,
    readDisk: async () => ({
      bytes: world.diskBytes,
      availableBytes: world.diskBytes - world.otherBytes - 100 * images.list().length,
    }),
    isPressed: ({ availableBytes, bytes }: { readonly availableBytes: number; readonly bytes: number }) =>
      availableBytes < bytes / 10,
    warn: (reason: string, message: string) => void told.push(`${reason}: ${message}`),
    clock,
    logger: silentLogger,
  };
  const names = (): readonly string[] =>
    images.list().flatMap((image) => image.names.map((name) => name.replace(/.*\/|:.*/g, '')));
  return { clock, images, world, told, names, options, collector: new ImageCollector(options) };
}

describe('ImageCollector', () => {
  it('keeps what containers mount', async () => {
    const { clock, collector, images, world, names } = createNode();
    const [used, mounted] = ['used', 'mounted', 'unused'].map((name) => images.add(name).id);
    world.used = [used ?? ''];
    world.mounted = [mounted ?? ''];
    world.otherBytes = 690;
    await collector.collect();
    clock.advance(5 * minute);
    await collector.collect().catch(() => undefined);
    expect(names()).toEqual(['used', 'mounted']);
  });

  it('frees down to the low threshold from the high one on, and no more', async () => {
    const { collector, images, world, names, told } = createNode();
    for (const name of ['a', 'b', 'c']) images.add(name);
    world.otherBytes = 540;
    await collector.collect();
    expect(names()).toEqual(['a', 'b', 'c']);
    world.otherBytes = 560;
    await collector.collect();
    expect([names(), told, collector.removed]).toEqual([['b', 'c'], [], { space: 1, age: 0 }]);
  });

  it('keeps what containers are made of, what is pinned and what is young, and says that it was not enough', async () => {
    const { collector, images, world, names, told, clock } = createNode({}, [
      'docker.io/library/pinned:latest',
    ]);
    const used = images.add('used');
    world.used = [used.digests[0] ?? used.id];
    for (const name of ['pinned', 'old']) images.add(name);
    await collector.collect();
    images.add('young');
    world.otherBytes = 590;
    await collector.collect();
    expect(names()).toEqual(['used', 'pinned', 'young']);
    expect(told).toEqual([
      expect.stringMatching(/^FreeDiskSpaceFailed: Insufficient free disk space .*\(freed 100 bytes\)/),
    ]);
    clock.advance(2 * minute);
    world.otherBytes = 690;
    await collector.collect();
    expect(names()).toEqual(['used', 'pinned']);
    expect(told.map((each) => each.split(':')[0])).toEqual([
      'FreeDiskSpaceFailed',
      'FreeDiskSpaceFailed',
      'ImageGCFailed',
    ]);
  });

  it('removes what is unused for too long, whatever room there is', async () => {
    const { collector, images, world, names, clock } = createNode({ maxAgeMs: 60 * minute });
    const used = images.add('used');
    images.add('unused');
    world.used = [used.id];
    await collector.collect();
    clock.advance(59 * minute);
    await collector.collect();
    expect(names()).toEqual(['used', 'unused']);
    clock.advance(2 * minute);
    await collector.collect();
    expect([names(), collector.removed]).toEqual([['used'], { space: 0, age: 1 }]);
    world.used = [];
    clock.advance(60 * minute);
    await collector.collect();
    expect(names()).toEqual(['used']);
    clock.advance(1 * minute);
    await collector.collect();
    expect(names()).toEqual([]);
  });

  it('goes on with others where one cannot be removed, and tells of it when it happens again', async () => {
    const { collector, images, world, names, told } = createNode();
    for (const name of ['a', 'b']) images.add(name);
    const remove = images.remove.bind(images);
    const stuck = images.resolve('a')?.id;
    images.remove = async (reference) => {
      if (reference === stuck) throw new PodwrightError('E_BUSY', 'remove image: busy');
      await remove(reference);
    };
    world.otherBytes = 700;
    await collector.collect();
    expect([names(), told]).toEqual([['a'], []]);
    world.otherBytes = 800;
    await collector.collect();
    expect(told).toEqual([
      expect.stringMatching(/^ImageGCFailed: remove images: sha256:\w+: .*busy \(freed 0 bytes\)$/),
    ]);
  });

  it('says that a disk has no size', async () => {
    const { collector, world, told } = createNode();
    world.diskBytes = 0;
    await collector.collect();
    expect(told).toEqual(['InvalidDiskCapacity: invalid capacity 0 on image filesystem']);
  });

  it('under pressure, looked for every ten seconds, removes all that is unused', async () => {
    const { options, images, world, names, clock } = createNode();
    const collector = new ImageCollector(options);
    const used = images.add('used');
    world.used = [used.id];
    for (const name of ['a', 'b', 'c']) images.add(name);
    using _watch = watchImages(collector, options);

    const looked = async (): Promise<void> => {
      clock.advance(10_000);
      for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    };
    await looked();
    expect(names()).toHaveLength(4);
    world.otherBytes = 510;
    await looked();
    expect(names()).toEqual(['used']);
  });
});
