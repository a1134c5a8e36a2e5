import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { platformOf } from '#api/oci/platform.ts';
import { makeNode } from '#native/sys/file.ts';
import { archiveLimits, directoryFiles, readArchive, stageArchive } from './archive.ts';
import { digestOf } from './blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { tarOf } from './test-archive.ts';

const options = { platform: platformOf(process.arch), name: undefined };
const { signal } = new AbortController(); // The deadline is that of each test.
const digits = '0'.repeat(64);
const scratch = scratchDirectory('podwright-archive-');
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(`${scratch}/`);
});
afterEach(() => rmSync(directory, { recursive: true }));

function read(files: Readonly<Record<string, string | object>>): ReturnType<typeof readArchive> {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return readArchive(directoryFiles(directory), options);
}

/** An OCI layout of which only the top index is given. */
function layout(manifests: readonly object[], blobs: readonly string[] = []): ReturnType<typeof readArchive> {
  return read({
    'oci-layout': { imageLayoutVersion: '1.0.0' },
    'index.json': { schemaVersion: 2, manifests },
    ...Object.fromEntries(
      blobs.map((bytes) => [`blobs/sha256/${hexOf(digestOf(Buffer.from(bytes)))}`, bytes]),
    ),
  });
}

const descriptorOf = (bytes: string): object => ({
  digest: digestOf(Buffer.from(bytes)),
  size: bytes.length,
});
const manifestOf = (config: string): string =>
  JSON.stringify({ schemaVersion: 2, config: descriptorOf(config), layers: [] });

describe('readArchive()', () => {
  it('bounds the images of an archive, which may all be the same few bytes', async () => {
    const count = archiveLimits.imagesMax + 1;
    const manifest = manifestOf('{}');
    const wanted = {
      code: 'E_LIMIT',
      message: expect.stringContaining(`more than ${archiveLimits.imagesMax} images`),
    };
    await expect(
      layout(
        Array.from({ length: count }, () => descriptorOf(manifest)),
        [manifest, '{}'],
      ),
    ).rejects.toMatchObject(wanted);
    rmSync(join(directory, 'index.json'));
    await expect(
      read({ 'manifest.json': Array.from({ length: count }, () => ({ Config: 'c' })), c: '{}' }),
    ).rejects.toMatchObject(wanted);
  });

  it('bounds the bytes of the documents that it holds', async () => {
    const config = JSON.stringify({ x: 'x'.repeat(4_000_000) });
    const manifest = manifestOf(config);
    const wanted = { code: 'E_LIMIT', message: expect.stringContaining('documents') };
    await expect(
      layout(
        Array.from({ length: 20 }, () => descriptorOf(manifest)),
        [manifest, config],
      ),
    ).rejects.toMatchObject(wanted);
    rmSync(join(directory, 'index.json'));
    await expect(
      read({ 'manifest.json': Array.from({ length: 20 }, () => ({ Config: 'c' })), c: config }),
    ).rejects.toMatchObject(wanted);
  });

  it('bounds the names of the images', async () => {
    const tags = Array.from({ length: archiveLimits.namesMax + 1 }, (_, at) => `a:${at}`);
    await expect(read({ 'manifest.json': [{ Config: 'c', RepoTags: tags }], c: '{}' })).rejects.toMatchObject(
      { code: 'E_LIMIT', message: expect.stringContaining('names') },
    );
  });

  it.each<readonly [string, Readonly<Record<string, string | object>>]>([
    ['a path', { 'manifest.json': [{ Config: 'x'.repeat(1_000_000) }] }],
    ['a path of a layer', { 'manifest.json': [{ Config: 'c', Layers: ['x'.repeat(1_000_000)] }], c: '{}' }],
    ['a tag', { 'manifest.json': [{ Config: 'c', RepoTags: ['X'.repeat(1_000_000)] }], c: '{}' }],
  ])('says what is wrong with %s without all of it', async (_, files) => {
    const error: unknown = await read(files).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_INVALID' });
    expect(String(error).length).toBeLessThan(2000);
  });

  it.each<readonly [string, object]>([
    ['a digest', { digest: 'x'.repeat(1_000_000), size: 1 }],
    [
      'a name',
      { ...descriptorOf('{}'), annotations: { 'io.containerd.image.name': `X/${'x'.repeat(1_000_000)}` } },
    ],
    ['a platform', { ...descriptorOf('{}'), platform: { os: 'x'.repeat(1_000_000) } }],
    ['a member', { ...descriptorOf('{}'), annotations: { ['x'.repeat(1_000_000)]: 1 } }],
  ])('says what is wrong with %s of a layout without all of it', async (_, descriptor) => {
    const error: unknown = await layout([descriptor]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_INVALID' });
    expect(String(error).length).toBeLessThan(2000);
  });

  it.runIf(process.getuid?.() === 0)('does not wait for a layer that is no file', async () => {
    const manifest = JSON.stringify({
      schemaVersion: 2,
      config: descriptorOf('{}'),
      layers: [{ digest: `sha256:${digits}`, size: 1 }],
    });
    mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
    makeNode(join(directory, 'blobs/sha256', digits), { type: 'p', major: 0, minor: 0, mode: 0o600 });
    await expect(layout([descriptorOf(manifest)], [manifest, '{}'])).rejects.toMatchObject({
      code: 'E_INVALID',
      message: expect.stringContaining(`blobs/sha256/${digits} is missing`),
    });
  });
});

describe('stageArchive()', () => {
  it.each<readonly [string, object]>([
    ['names', { name: 'x'.repeat(5000), content: '' }],
    ['links', { name: 'x', type: 'symlink', linkname: 'x'.repeat(5000) }],
  ])('bounds %s, which it keeps', async (_, entry) => {
    const tar = await tarOf([entry as { readonly name: string }]);
    await expect(stageArchive(Readable.from([tar]), directory, signal)).rejects.toMatchObject({
      code: 'E_LIMIT',
      message: expect.stringContaining('name of more than 4096 bytes'),
    });
    expect(readdirSync(directory)).toEqual([]);
  });
});
