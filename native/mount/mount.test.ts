import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { proveMounts } from './mount.conformance.ts';
import { createFakeMounts } from './mount.fake.ts';
import { createMounts } from './mount.linux.ts';
import { overlayData, tmpfsData } from './mount-data.ts';
import { isWithin, parseMountinfo, unescapeOctal } from './mountinfo.ts';

proveMounts('createFakeMounts()', async () => ({
  mounts: createFakeMounts({ missing: new Set(['/fake/missing']) }),
  directory: '/fake',
  [Symbol.asyncDispose]: async () => {},
}));

describe.skipIf(process.getuid?.() !== 0)('on the kernel (needs root)', () => {
  const mounts = createMounts();

  async function openDirectory() {
    const directory = await mkdtemp(join(tmpdir(), 'podwright-mount-'));
    await mkdir(join(directory, 'a'));
    await mkdir(join(directory, 'b/c'), { recursive: true });
    return {
      mounts,
      directory,
      [Symbol.asyncDispose]: async () => {
        mounts.unmountTree(directory);
        await rm(directory, { recursive: true });
      },
    };
  }

  proveMounts('createMounts()', openDirectory);

  it('mounts an overlay over layers whose names need escapes', async () => {
    await using given = await openDirectory();

    const at = (path: string): string => join(given.directory, path);
    mounts.mount(at('a'), { kind: 'tmpfs' }); // overlayfs wants an upper directory that is not on an overlay itself
    for (const path of ['a/l,1', 'a/l:2', 'a/up', 'a/work', 'a/l,1/x', 'a/l:2/y']) await mkdir(at(path));
    mounts.mount(at('b/c'), {
      kind: 'overlay',
      lower: [at('a/l,1'), at('a/l:2')],
      upper: { directory: at('a/up'), work: at('a/work') },
    });
    await mkdir(at('b/c/x/new'));
    await mkdir(at('b/c/y/new'));
    await mkdir(at('a/up/x/sub'), { recursive: true });
    expect(mounts.list().some((info) => info.target === at('b/c') && info.type === 'overlay')).toBe(true);
  });
});

describe('parseMountinfo()', () => {
  it('reads optional fields, escapes and options', () => {
    const line =
      '36 35 98:0 /mnt\\0401 /mnt2/a\\040b\\134c rw,noatime shared:1 master:2 - ext3 /dev/r\\303\\266t rw,errors=continue';
    expect(parseMountinfo(`${line}\n`)).toEqual([
      {
        id: 36,
        parentId: 35,
        root: '/mnt 1',
        target: '/mnt2/a b\\c',
        options: ['rw', 'noatime'],
        propagation: ['shared:1', 'master:2'],
        type: 'ext3',
        source: '/dev/röt',
        superOptions: ['rw', 'errors=continue'],
      },
    ]);
  });

  it('takes any truncation without a throw', () => {
    const line = '36 35 98:0 / /mnt rw - ext3 /dev/root rw';
    for (let length = 0; length <= line.length; length++) parseMountinfo(line.slice(0, length));
    expect(parseMountinfo('')).toEqual([]);
  });
});

describe('unescapeOctal()', () => {
  it.each([
    ['plain', 'plain'],
    ['a\\011b\\012', 'a\tb\n'],
    ['end\\04', 'end\\04'],
    ['\\999', '\\999'],
  ])('%j is %j', (text, want) => expect(unescapeOctal(text)).toBe(want));
});

describe('isWithin()', () => {
  it.each([
    ['/a/b', '/a', true],
    ['/a', '/a', true],
    ['/ab', '/a', false],
    ['/anything', '/', true],
  ])('%s in %s: %s', (path, prefix, want) => expect(isWithin(path, prefix)).toBe(want));
});

describe('mount data', () => {
  it('tmpfsData() writes sizes in bytes and modes in octal', () => {
    expect(tmpfsData({ kind: 'tmpfs', sizeBytes: 65_536, mode: 0o1777 })).toBe('size=65536,mode=1777');
    expect(tmpfsData({ kind: 'tmpfs', mode: 0o2777, gid: 7 })).toBe('mode=2777,gid=7');
    expect(tmpfsData({ kind: 'tmpfs' })).toBe('');
  });

  it('overlayData() escapes what separates', () => {
    expect(overlayData({ kind: 'overlay', lower: ['/a:b', '/c\\,d'] })).toBe('lowerdir=/a\\:b:/c\\\\\\,d');
  });

  it('overlayData() says when names do not fit a page', () => {
    const lower = Array.from({ length: 100 }, (_, index) => `/${'x'.repeat(60)}${index}`);
    expect(() => overlayData({ kind: 'overlay', lower })).toThrow('4095 bytes');
    expect(() => overlayData({ kind: 'overlay', lower: [] })).toThrow('no lower directory');
  });
});
