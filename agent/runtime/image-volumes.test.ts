import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  chmodSync,
  chownSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { getXattr, makeNode, setXattr } from '#native/sys/file.ts';
import { removeRoot, removeUnknownRoots } from './container-root.ts';
import { fillImageVolumes, planImageVolumes } from './image-volumes.ts';

const isRoot = process.getuid?.() === 0;
const mount = (target: string, ...options: readonly string[]) =>
  ({ type: 'bind', source: '/x', target, options }) as const;

describe('planImageVolumes()', () => {
  it.each([
    {
      name: 'each path once, as it is written',
      paths: ['/data', 'data/', '/var//lib/db/'],
      mounts: [],
      want: ['/data', '/var/lib/db'],
    },
    {
      name: 'none where the pod mounts',
      paths: ['/data', '/log'],
      mounts: [mount('/data/')],
      want: ['/log'],
    },
    {
      name: 'one below a mount of the pod that can be written',
      paths: ['/data/db'],
      mounts: [mount('/data', 'rw')],
      want: ['/data/db'],
    },
    { name: 'none below one that cannot', paths: ['/data/db'], mounts: [mount('/data', 'ro')], want: [] },
    {
      name: 'none at the root, nor where the kernel shows itself',
      paths: ['/', '/proc', '/sys/fs', '/dev/shm', '/../..', '/proc2'],
      mounts: [],
      want: ['/proc2'],
    },
  ])('$name', ({ paths, mounts, want }) => {
    const planned = planImageVolumes(paths, mounts, '/v');
    expect(planned.map(({ path }) => path)).toEqual(want);
    expect(planned.map(({ directory }) => directory)).toEqual(want.map((_, at) => `/v/${at}`));
  });
});

it('planImageVolumes() refuses more than anybody means', () => {
  const paths = Array.from({ length: 101 }, (_, at) => `/v${at}`);
  expect(() => planImageVolumes(paths, [], '/v')).toThrow('it has 101, at most 100');
});

describe.skipIf(!isRoot)('fillImageVolumes() (needs root: owners, devices, trusted xattrs)', () => {
  const scratch = scratchDirectory('podwright-volumes-');
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(`${scratch}/`);
    for (const path of ['below/var/data/old', 'below/var/data/gone', 'above/var/data', 'above/var/data/old'])
      mkdirSync(`${root}/${path}`, { recursive: true });
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const fill = async (path: string): Promise<string> => {
    const directory = `${root}/containers/c.volumes/0`;
    await fillImageVolumes(
      [{ path, directory }],
      [`${root}/above`, `${root}/below`],
      AbortSignal.timeout(150_000),
    );
    return directory;
  };

  it('has what the layers have there together, with all that belongs to it', async () => {
    writeFileSync(`${root}/below/var/data/old/file`, 'below');
    writeFileSync(`${root}/below/var/data/kept`, 'kept');
    linkSync(`${root}/below/var/data/kept`, `${root}/below/var/data/hard`);
    chownSync(`${root}/below/var/data/kept`, 70, 71);
    chmodSync(`${root}/below/var/data/kept`, 0o4750);
    setXattr(`${root}/below/var/data/kept`, 'user.kept', Buffer.from('yes'));
    writeFileSync(`${root}/above/var/data/old/file`, 'above');
    symlinkSync('/etc/passwd', `${root}/above/var/data/link`);
    makeNode(`${root}/above/var/data/gone`, { type: 'c', major: 0, minor: 0, mode: 0 });
    makeNode(`${root}/above/var/data/null`, { type: 'c', major: 1, minor: 3, mode: 0o666 });
    writeFileSync(Buffer.from(`${root}/above/var/data/caf\xe9`, 'latin1'), 'bytes');
    chownSync(`${root}/above/var/data`, 70, 71);
    chmodSync(`${root}/above/var/data`, 0o2770);
    symlinkSync('/var/data', `${root}/above/linked`);
    const directory = await fill('/linked');
    const { mode, uid, gid } = lstatSync(directory);
    expect([(mode & 0o7777).toString(8), uid, gid]).toEqual(['2770', 70, 71]);
    expect(readFileSync(`${directory}/old/file`, 'utf8')).toBe('above');
    const kept = lstatSync(`${directory}/kept`);
    expect([(kept.mode & 0o7777).toString(8), kept.uid, kept.nlink]).toEqual(['4750', 70, 2]);
    expect(getXattr(`${directory}/kept`, 'user.kept')?.toString()).toBe('yes');
    expect(lstatSync(`${directory}/link`).isSymbolicLink()).toBe(true);
    expect(lstatSync(`${directory}/null`).rdev).toBe(0x103);
    expect(existsSync(`${directory}/gone`)).toBe(false);
    expect(readFileSync(Buffer.from(`${directory}/caf\xe9`, 'latin1'), 'utf8')).toBe('bytes');
  });

  it('has nothing below what hides it', async () => {
    setXattr(`${root}/above/var/data`, 'trusted.overlay.opaque', Buffer.from('y'));
    const directory = await fill('/var/data');
    expect(existsSync(`${directory}/gone`)).toBe(false);
    expect(existsSync(`${directory}/old`)).toBe(true);
  });

  it('is empty where the image has no directory', async () => {
    writeFileSync(`${root}/below/file`, '');
    for (const path of ['/nothing/there', '/file']) {
      const directory = await fill(path);
      expect(statSync(directory).mode & 0o7777).toBe(0o755);
      rmSync(directory, { recursive: true });
    }
  });

  it('goes with its container, and stays with it', async () => {
    for (const name of ['known', 'known.volumes', 'gone.volumes', 'other'])
      mkdirSync(`${root}/c/${name}`, { recursive: true });
    await removeUnknownRoots(`${root}/c`, new Set(['known']));
    expect(readdirSync(`${root}/c`).toSorted()).toEqual(['known', 'known.volumes']);
    await removeRoot(`${root}/c`, 'known');
    expect(readdirSync(`${root}/c`)).toEqual([]);
  });
});
