/** Broken bytes never do more than fail: one error of ours, and nothing is left behind. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { assert, asyncProperty, nat } from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { isPodwrightError } from '#base/errors.ts';
import { openImageStore, type LocalImageStore } from './image-store.ts';
import { ociArchive, tarOf } from './test-archive.ts';
import { unpackLayer } from './unpack/unpack-layer.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController(); // The deadline is that of each test.
const scratch = scratchDirectory('podwright-broken-');
let directory = '';
let store: LocalImageStore;

beforeEach(async () => {
  directory = mkdtempSync(`${scratch}/`);
  store = await openImageStore({ directory, unpack: (request) => unpackLayer(request) });
});
afterEach(() => rmSync(directory, { recursive: true }));

describe.skipIf(!isRoot)('importArchive() of broken bytes (needs root)', () => {
  it.each(['plain', 'gzip'])('a bit flipped anywhere in a %s archive', async (form) => {
    const tar = await tarOf([
      { name: 'etc/', type: 'directory' },
      { name: 'etc/motd', content: 'hello', xattrs: { 'user.a': Buffer.from('b') } },
      { name: 'link', type: 'symlink', linkname: 'etc/motd' },
      { name: 'hard', type: 'link', linkname: 'etc/motd' },
    ]);
    const plain = await ociArchive({ layers: [{ tar, blob: gzipSync(tar) }], name: 'a' });
    const archive = form === 'plain' ? plain : gzipSync(plain);
    await assert(
      asyncProperty(nat(archive.length * 8 - 1), async (bit) => {
        const broken = Buffer.from(archive);
        broken.writeUInt8(broken.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const failure = await store.importArchive(Readable.from([broken]), {}, signal).then(
          () => undefined,
          (error: unknown) => error,
        );
        // Some bits mean nothing: padding, owner names, a name of the image. Then it is the same image.
        expect(failure === undefined || isPodwrightError(failure), String(failure)).toBe(true);
        for (const { id } of store.list()) await store.remove(id);
        const left = ['images/tmp', 'images/blobs/sha256', 'layers'].flatMap((path) =>
          readdirSync(`${directory}/${path}`),
        );
        expect(left).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
