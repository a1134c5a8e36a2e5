import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PodwrightError } from '#base/errors.ts';
import { containerConfig } from '#agent/runtime/runtime.conformance.ts';
import type { ContainerConfig, ImageMount } from '#agent/runtime/runtime.ts';
import { FakeSystem } from '#agent/runtime/system.fake.ts';
import { placeImages } from './place-images.ts';

describe('placeImages()', () => {
  let directory: string;
  let system: FakeSystem;
  beforeEach(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'place-images-')));
    system = new FakeSystem();
    await mkdir(join(directory, 'layer/docs'), { recursive: true });
    await writeFile(join(directory, 'layer/docs/a'), 'text');
    await symlink('docs/a', join(directory, 'layer/latest'));
    await symlink('../../../../../etc/passwd', join(directory, 'layer/out'));
  });
  afterEach(async () => rm(directory, { recursive: true, force: true }));

  const images = {
    content: async (id: string) => {
      if (id !== 'sha256:1') throw new PodwrightError('E_NOT_FOUND', `use image ${id}: not present`);
      const rest = { config: {} as never, accounts: { users: [], groups: [] } };
      const root = { mode: 0o755, uid: 0, gid: 0 };
      return { id, ...rest, root, layerIds: ['sha256:l'], lower: [join(directory, 'layer')] };
    },
  };
  const place = (...mounts: ContainerConfig['mounts']) => {
    const config = containerConfig({ imageId: 'sha256:0', directory: '/logs' }, { id: 'c', mounts });
    const paths = { runDirectory: join(directory, 'run'), dataDirectory: directory };
    return placeImages(config, { images, paths, system });
  };
  const image = (target: string, change: Partial<ImageMount> = {}): ImageMount => ({
    ...{ type: 'image', source: 'sha256:1', target, options: ['ro'] },
    ...change,
  });
  const root = (): string => join(directory, 'containers/c.images/0');

  it('mounts an image once, binds what is asked for of it, and leaves nothing', async () => {
    const bind = { type: 'bind', source: '/x', target: '/y', options: [] } as const;
    const asked = [image('/all'), bind, image('/one', { subPath: 'latest' })];
    const placed = await place(...asked);
    expect(placed.layerIds).toEqual(['sha256:l']);
    const own = { type: 'bind', options: ['ro'], isIdMapped: false };
    expect(placed.config.mounts).toEqual([
      { ...own, source: root(), target: '/all', isFile: false },
      bind,
      { ...own, source: `${root()}/docs/a`, target: '/one', isFile: true },
    ]);
    expect([...system.mounts]).toEqual([root()]);
    await placed[Symbol.asyncDispose]();
    expect(system.left()).toEqual([]);
  });

  it.each([
    ['a path that is not in it', image('/a', { subPath: 'none' }), 'sub path "none" is not in it'],
    ['a link that leads out of it', image('/a', { subPath: 'out' }), 'sub path "out" is not in it'],
    ['a path that leads out of it', image('/a', { subPath: '../x' }), 'sub path "../x" is not in it'],
    ['an image that is gone', image('/b', { source: 'sha256:2' }), 'use image sha256:2: not present'],
  ])('refuses %s, and leaves nothing', async (_name, mount, message) => {
    await expect(place(image('/first'), mount)).rejects.toThrow(message);
    expect(system.left()).toEqual([]);
  });

  it('makes nothing of a container without images', async () => {
    await using placed = await place();

    expect(placed.config.mounts).toEqual([]);
    expect(existsSync(join(directory, 'containers'))).toBe(false);
  });
});
