import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { getXattr } from '#native/sys/file.ts';
import { digestOf } from './blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { openImageStore, type LocalImageStore } from './image-store.ts';
import { dockerArchive, ociArchive, tarOf, type TestEntry } from './test-archive.ts';
import { unpackLayer } from './unpack/unpack-layer.ts';
import type { Unpack } from './unpack/unpack-thread.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController(); // The deadline is that of each test.
/** On this thread: the tests of unpack-thread.ts are those of the kernel runtime. */
const unpack: Unpack = (request) => unpackLayer(request);

const scratch = scratchDirectory('podwright-images-');
let directory = '';
let store: LocalImageStore;

beforeEach(async () => {
  directory = mkdtempSync(`${scratch}/`);
  store = await openImageStore({ directory, unpack });
});
afterEach(() => rmSync(directory, { recursive: true }));

const importBytes = (bytes: Buffer, name?: string): ReturnType<LocalImageStore['importArchive']> =>
  store.importArchive(Readable.from([bytes]), { name }, signal);

const hello: readonly TestEntry[] = [
  { name: 'etc/', type: 'directory', mode: 0o755 },
  { name: 'etc/motd', content: 'hello', mode: 0o4755, uid: 7, gid: 8, mtime: new Date(1_000_000_000_000) },
  { name: './etc/abs', type: 'symlink', linkname: '/etc/motd' },
  { name: 'etc/hard', type: 'link', linkname: 'etc/motd' },
];

/** Everything that the store has beyond its empty directories. */
function leftovers(): readonly string[] {
  return ['images/tmp', 'images/blobs/sha256', 'layers'].flatMap((path) =>
    readdirSync(`${directory}/${path}`),
  );
}

function layerPath(tar: Buffer, path = ''): string {
  return `${directory}/layers/${hexOf(digestOf(tar))}/${path}`;
}

describe.skipIf(!isRoot)('importArchive() (needs root: owners, devices, trusted xattrs)', () => {
  it('unpacks what is ours in this thread', async () => {
    const refuse: Unpack = () => Promise.reject(new Error('a thread'));
    const strict = await openImageStore({ directory, unpack: refuse });
    const archive = await ociArchive({ layers: [{ tar: await tarOf(hello) }], name: 'example.com/a:1' });
    await expect(strict.importArchive(Readable.from([archive]), {}, signal)).rejects.toThrow('a thread');
    const [image] = await strict.importArchive(Readable.from([archive]), { isOurs: true }, signal);
    expect(image?.names).toEqual(['example.com/a:1']);
  });

  const compressions = [
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', (bytes: Buffer) => gzipSync(bytes)],
    ['zstd', (bytes: Buffer) => zstdCompressSync(bytes)],
  ] as const;
  for (const [inner, compressLayer] of compressions) {
    for (const [outer, compress] of compressions) {
      it(`takes a ${outer} archive with ${inner} layers, OCI and docker`, async () => {
        const tar = await tarOf(hello);
        const layers = [{ tar, blob: compressLayer(tar) }];
        const [oci] = await importBytes(compress(await ociArchive({ layers, name: 'example.com/a:1' })));
        const [docker] = await importBytes(compress(await dockerArchive({ layers, name: 'b' })));
        expect(oci?.names).toEqual(['example.com/a:1']);
        expect(docker?.names).toEqual(expect.arrayContaining(['docker.io/library/b:latest']));
        expect(readFileSync(layerPath(tar, 'etc/hard'), 'utf8')).toBe('hello');
        expect(store.resolve('b')?.id).toBe(oci?.id);
      });
    }
  }

  it('keeps owners, modes, times and links as they are', async () => {
    const tar = await tarOf(hello);
    await importBytes(await ociArchive({ layers: [{ tar }], name: 'a' }));
    const motd = lstatSync(layerPath(tar, 'etc/motd'));
    expect([motd.mode & 0o7777, motd.uid, motd.gid, motd.mtimeMs, motd.nlink]).toEqual([
      0o4755, 7, 8, 1e12, 2,
    ]);
    expect(readlinkSync(layerPath(tar, 'etc/abs'))).toBe('/etc/motd');
  });

  it('writes whiteouts, opaque directories, devices and capabilities as overlayfs has them', async () => {
    const capability = Buffer.from('0100000200f4ffff80ff00000000000000000000', 'hex');
    const below = await tarOf([{ name: 'gone/', type: 'directory' }]);
    const tar = await tarOf([
      { name: 'gone/', type: 'directory' },
      { name: 'gone/.wh.file', content: '' },
      { name: 'opaque/', type: 'directory' },
      { name: 'opaque/.wh..wh..opq', content: '' },
      { name: '.wh.replaced', content: '' },
      { name: 'replaced/', type: 'directory' },
      { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
      { name: 'ping', content: 'x', xattrs: { 'security.capability': capability } },
    ]);
    await importBytes(await ociArchive({ layers: [{ tar: below }, { tar }], name: 'a' }));
    const whiteout = lstatSync(layerPath(tar, 'gone/file'));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
    expect(getXattr(layerPath(tar, 'opaque'), 'trusted.overlay.opaque')?.toString()).toBe('y');
    expect(getXattr(layerPath(tar, 'replaced'), 'trusted.overlay.opaque')?.toString()).toBe('y');
    expect(lstatSync(layerPath(tar, 'null')).rdev).toBe(0x103);
    expect(getXattr(layerPath(tar, 'ping'), 'security.capability')).toEqual(capability);
    expect(readdirSync(layerPath(tar, 'opaque'))).toEqual([]);
  });

  it('takes an OCI layout that is a directory', async () => {
    const tar = await tarOf(hello);
    const layout = `${directory}/layout`;
    for (const [name, content] of await ociArchive({ layers: [{ tar }], name: 'a', asFiles: true })) {
      mkdirSync(dirname(`${layout}/${name}`), { recursive: true });
      writeFileSync(`${layout}/${name}`, content);
    }
    const [image] = await store.importArchive({ directory: layout }, {}, signal);
    expect(image?.names).toEqual(['docker.io/library/a:latest']);
  });

  it('moves a name to the newer image, and remembers over a restart', async () => {
    const first = await tarOf(hello);
    const second = await tarOf([...hello, { name: 'more', content: 'x' }]);
    const [old] = await importBytes(await ociArchive({ layers: [{ tar: first }], name: 'a' }));
    const [young] = await importBytes(
      await ociArchive({ layers: [{ tar: first }, { tar: second }], name: 'a' }),
    );
    store = await openImageStore({ directory, unpack });
    expect(store.resolve('a')?.id).toBe(young?.id);
    expect(store.resolve(old?.id ?? '')?.names).toEqual([]);
    expect(store.resolve(young?.digests[0] ?? '')?.id).toBe(young?.id);
    await store.remove('a');
    expect(existsSync(layerPath(second))).toBe(false);
    expect(existsSync(layerPath(first))).toBe(true);
    await store.remove(old?.id ?? '');
    expect(leftovers()).toEqual([]);
  });

  it('keeps the layers that containers use', async () => {
    const tar = await tarOf(hello);
    await importBytes(await ociArchive({ layers: [{ tar }], name: 'a' }));
    store.pinLayers(() => [digestOf(tar)]);
    await store.remove('a');
    expect(store.list()).toEqual([]);
    expect(existsSync(layerPath(tar, 'etc/motd'))).toBe(true);
  });

  const outside = '/tmp/podwright-outside';
  const refused: readonly {
    readonly name: string;
    readonly entries: readonly TestEntry[];
    readonly want: RegExp;
  }[] = [
    {
      name: 'a path with ..',
      entries: [{ name: '../evil', content: '' }],
      want: /entry \.\.\/evil .*leaves the layer/,
    },
    {
      name: 'a path with .. inside',
      entries: [{ name: 'a/../../evil', content: '' }],
      want: /leaves the layer/,
    },
    {
      name: 'a hard link to the host by an absolute path',
      entries: [{ name: 'shadow', type: 'link', linkname: '/etc/shadow' }],
      want: /entry shadow .*names no entry of the layer/,
    },
    {
      name: 'a hard link with ..',
      entries: [{ name: 'shadow', type: 'link', linkname: '../../../etc/shadow' }],
      want: /leaves the layer/,
    },
    {
      name: 'a hard link through a symbolic link',
      entries: [
        { name: 'link', type: 'symlink', linkname: '/etc' },
        { name: 'shadow', type: 'link', linkname: 'link/shadow' },
      ],
      want: /names no entry of the layer, and none below it/,
    },
    {
      name: 'parents that are links to each other',
      entries: [
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'b', type: 'symlink', linkname: 'a' },
        { name: 'a/x', content: '' },
      ],
      want: /links that go round/,
    },
    {
      name: 'a hard link to a directory of a layer below',
      entries: [{ name: 'x', type: 'link', linkname: 'etc' }],
      want: /names no entry of the layer, and none below it/,
    },
    { name: 'a whiteout of ..', entries: [{ name: 'a/.wh...', content: '' }], want: /whiteout of no name/ },
    {
      name: 'a file below a file',
      entries: [
        { name: 'a', content: '' },
        { name: 'a/b', content: '' },
      ],
      want: /a is no directory/,
    },
    {
      name: 'a path that is too deep',
      entries: [{ name: 'a/'.repeat(300), type: 'directory' }],
      want: /too deep/,
    },
  ];
  it.each(refused)('refuses $name in one line and leaves nothing', async ({ entries, want }) => {
    const layers = [{ tar: await tarOf(hello) }, { tar: await tarOf(entries) }];
    const failure = await importBytes(await ociArchive({ layers, name: 'a' })).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(PodwrightError);
    expect(failure).toMatchObject({ code: 'E_INVALID', message: expect.stringMatching(want) });
    expect(String(failure)).not.toContain('\n');
    expect([store.list(), leftovers(), existsSync(outside)]).toEqual([[], [], false]);
  });

  it.each([
    { name: 'a file', entry: { name: 'link/podwright-outside', content: 'inside' } },
    { name: 'a directory', entry: { name: 'link/podwright-outside/', type: 'directory' as const } },
    { name: 'a whiteout', entry: { name: 'link/.wh.podwright-outside', content: '' } },
    {
      name: 'a file behind links that lead out',
      entry: { name: 'up/link/podwright-outside', content: 'inside' },
    },
  ])('below a link, $name stays below the root of the layer', async ({ entry }) => {
    const links: readonly TestEntry[] = [
      { name: 'tmp/', type: 'directory' },
      { name: 'link', type: 'symlink', linkname: '/tmp' },
      { name: 'up', type: 'symlink', linkname: '../../../..' },
    ];
    const below = await tarOf([{ name: 'tmp/', type: 'directory' }]);
    const tar = await tarOf([...links, entry]);
    await importBytes(await ociArchive({ layers: [{ tar: below }, { tar }], name: 'a' }));
    expect(lstatSync(layerPath(tar, 'tmp/podwright-outside'))).toBeDefined();
    expect(existsSync(outside)).toBe(false);
  });

  it('a layer that leaves parents unsaid is another one on other layers, and shared by images on the same', async () => {
    const alone = await tarOf([{ name: 'home/alice/app', content: 'app' }]);
    const on = (mode: number, more: readonly TestEntry[] = []): Promise<Buffer> =>
      tarOf([{ name: 'home/', type: 'directory', mode }, ...more]);
    const images = [
      { name: 'private', layers: [{ tar: await on(0o700) }, { tar: alone }] },
      { name: 'open', layers: [{ tar: await on(0o755) }, { tar: alone }] },
      { name: 'again', layers: [{ tar: await on(0o700) }, { tar: alone }], config: { Cmd: ['x'] } },
    ];
    const modes: number[] = [];
    const tops = new Set<string | undefined>();
    for (const image of images) {
      const [record] = await importBytes(await ociArchive(image));
      const { lower } = await store.content(record?.id ?? '');
      modes.push(lstatSync(`${lower[0]}/home`).mode & 0o777);
      tops.add(lower[0]);
    }
    expect([modes, tops.size]).toEqual([[0o700, 0o755, 0o700], 2]);
    for (const { name } of images) await store.remove(name);
    expect(leftovers()).toEqual([]);
  });

  it('what / is, the topmost layer says that says something of it', async () => {
    const root = await tarOf([{ name: './', type: 'directory', mode: 0o711, uid: 7 }]);
    const layers = [{ tar: root }, { tar: await tarOf(hello) }];
    const [image] = await importBytes(await ociArchive({ layers, name: 'a' }));
    expect((await store.content(image?.id ?? '')).root).toEqual({ mode: 0o711, uid: 7, gid: 0 });
  });

  it('lists a layer that is there twice once, where it is on top', async () => {
    const [a, b] = [await tarOf(hello), await tarOf([{ name: 'b', content: '' }])];
    const layers = [{ tar: a }, { tar: b }, { tar: a }];
    const [image] = await importBytes(await ociArchive({ layers, name: 'a' }));
    const { lower } = await store.content(image?.id ?? '');
    expect(lower).toEqual([layerPath(a).slice(0, -1), layerPath(b).slice(0, -1)]);
  });

  it('a symbolic link that is replaced by a directory is written into as one', async () => {
    const tar = await tarOf([
      { name: 'x', type: 'symlink', linkname: '/tmp' },
      { name: 'x/', type: 'directory' },
      { name: 'x/podwright-outside', content: 'inside' },
    ]);
    await importBytes(await ociArchive({ layers: [{ tar }], name: 'a' }));
    expect(readFileSync(layerPath(tar, 'x/podwright-outside'), 'utf8')).toBe('inside');
    expect(existsSync(outside)).toBe(false);
  });

  it('refuses another architecture in one line', async () => {
    const layers = [{ tar: await tarOf(hello) }];
    const archive = await ociArchive({ layers, name: 'a', architecture: 's390x' });
    await expect(importBytes(archive)).rejects.toMatchObject({
      code: 'E_INVALID',
      message: expect.stringMatching(/^use image .*: it is for linux\/s390x, this machine is linux\//),
    });
    expect(leftovers()).toEqual([]);
  });

  it('refuses a layer whose digest or diffID is wrong', async () => {
    const tar = await tarOf(hello);
    const other = await tarOf([...hello, { name: 'more', content: 'x' }]);
    for (const layer of [
      { tar, diffId: digestOf(other) },
      { tar, blob: gzipSync(tar), digest: digestOf(other) },
    ]) {
      const archive = await ociArchive({ layers: [layer], name: 'a' });
      await expect(importBytes(archive)).rejects.toMatchObject({
        code: 'E_INVALID',
        detail: { reason: 'digest' },
      });
    }
    expect(leftovers()).toEqual([]);
  });

  it('refuses an archive cut at any block, compressed or not, and leaves nothing', async () => {
    const tar = await tarOf(hello);
    const archive = await ociArchive({ layers: [{ tar, blob: gzipSync(tar) }], name: 'a' });
    const lastBlob = archive.length - 1024; // tar ends with two empty blocks, which may be missing
    const cuts = [
      1,
      100,
      511,
      ...Array.from({ length: Math.floor(lastBlob / 512) }, (_, n) => n * 512 + (n % 2) * 7),
    ];
    for (const [form, bytes] of [
      ['plain', archive],
      ['gzip', gzipSync(archive)],
      ['zstd', zstdCompressSync(archive)],
    ] as const) {
      for (const cut of form === 'plain' ? cuts : [5, 20, Math.floor(bytes.length / 2), bytes.length - 1]) {
        const failure = await importBytes(bytes.subarray(0, cut)).catch((error: unknown) => error);
        expect(failure, `${form} cut at ${cut}`).toMatchObject({ code: 'E_INVALID' });
      }
    }
    expect(leftovers()).toEqual([]);
  });

  it('a full disk is E_NO_SPACE and leaves nothing', async () => {
    const full: Unpack = async ({ target }) => {
      writeFileSync(`${target}/half`, 'written');
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    store = await openImageStore({ directory, unpack: full });
    const archive = await ociArchive({ layers: [{ tar: await tarOf(hello) }], name: 'a' });
    await expect(importBytes(archive)).rejects.toMatchObject({
      code: 'E_NO_SPACE',
      message: expect.stringMatching(/: no space left in \S+; free some there$/),
    });
    expect(leftovers()).toEqual([]);
  });

  it('bounds entries and bytes', async () => {
    const archive = await ociArchive({ layers: [{ tar: await tarOf(hello) }], name: 'a' });
    for (const limits of [
      { entriesMax: 2, bytesMax: 1000 },
      { entriesMax: 100, bytesMax: 4 },
    ]) {
      store = await openImageStore({ directory, unpack, limits });
      await expect(importBytes(archive)).rejects.toMatchObject({ code: 'E_LIMIT' });
    }
    expect(leftovers()).toEqual([]);
  });

  it('stops when it is aborted', async () => {
    const archive = await ociArchive({ layers: [{ tar: await tarOf(hello) }], name: 'a' });
    await expect(store.importArchive(Readable.from([archive]), {}, AbortSignal.abort())).rejects.toThrow(
      /abort/,
    );
    expect(leftovers()).toEqual([]);
  });
});

describe('pull()', () => {
  it('ends after twelve hours, whatever progress there is', async () => {
    const clock = createFakeClock();
    const asked = Promise.withResolvers<void>();
    const registry = {
      resolve: (_request: unknown, each: AbortSignal) => {
        const { promise, reject } = Promise.withResolvers<never>();
        each.addEventListener('abort', () => reject(each.reason));
        asked.resolve();
        return promise;
      },
    };
    const slow = await openImageStore({ directory: `${directory}/slow`, unpack, clock, registry });
    const pulling = slow.pull('registry.example/a:1', {}, signal);
    pulling.catch(() => undefined);
    await asked.promise;
    clock.advance(12 * 3_600_000);
    await expect(pulling).rejects.toMatchObject({
      code: 'E_TIMEOUT',
      message: 'pull registry.example/a:1: not done after 12 hours',
    });
  });
});
