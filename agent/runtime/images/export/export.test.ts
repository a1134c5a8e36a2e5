import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { openImageStore, type LocalImageStore } from '#agent/runtime/images/image-store.ts';
import { ociArchive, tarOf, type TestEntry } from '#agent/runtime/images/test-archive.ts';
import { tarText } from '#agent/runtime/images/unpack/tar-block.ts';
import { readTar } from '#agent/runtime/images/unpack/tar-reader.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';
import { renderTarHeader, tarEnd, type TarEntry } from './tar-header.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController();
const entry: TarEntry = {
  ...{ name: 'etc/motd', type: 'file', mode: 0o4755, uid: 7, gid: 8, sizeBytes: 0 },
  mtimeNs: 1_000_000_000_000_000_000n,
};

async function read(bytes: Buffer): Promise<object> {
  for await (const { header } of readTar(Readable.from([bytes]), 1_000_000)) return header;
  return {};
}

describe('renderTarHeader()', () => {
  const long = `${'d'.repeat(90)}/${'n'.repeat(90)}`;
  it.each<[string, Partial<TarEntry>]>([
    ['what ustar has room for', {}],
    ['a long name, not in UTF-8', { name: `${long}\xe9` }],
    ['a long link', { type: 'symlink', linkname: long }],
    ['a device', { type: 'character-device', device: { major: 10, minor: 229 } }],
    ['large ids', { uid: 4_294_967_294, gid: 2_097_152 }],
    ['a part of a second', { mtimeNs: 1_500_000_001n }],
    ['a time before 1970', { mtimeNs: -1_500_000_000n }],
    ['attributes of any bytes', { xattrs: [['security.capability', Buffer.from([1, 0, 10, 255])]] }],
  ])('%s', async (_name, change) => {
    const given = { ...entry, ...change };
    const header = await read(Buffer.concat([renderTarHeader(given), tarEnd]));
    const { xattrs: _xattrs, device: _device, ...same } = given;
    expect(header).toMatchObject(same);
    for (const [name, value] of given.xattrs ?? [])
      expect((header as { readonly xattrs: ReadonlyMap<string, Buffer> }).xattrs.get(name)).toEqual(value);
  });
});

describe.skipIf(!isRoot)('exportArchive() (needs root: owners, devices, trusted xattrs)', () => {
  const scratch = scratchDirectory('podwright-export-');
  let directory = '';
  beforeEach(() => void (directory = mkdtempSync(`${scratch}/`)));
  afterEach(() => rmSync(directory, { recursive: true }));

  const open = (name: string): Promise<LocalImageStore> =>
    openImageStore({ directory: `${directory}/${name}`, unpack: (request) => unpackLayer(request) });
  const exported = async (store: LocalImageStore, reference: string): Promise<Buffer> =>
    Buffer.concat(await Array.fromAsync(store.exportArchive([reference], signal)));
  const base: readonly TestEntry[] = [
    { name: './', type: 'directory', mode: 0o711, uid: 5 },
    { name: 'etc/', type: 'directory', mode: 0o755 },
    { name: 'etc/motd', content: 'hello', mode: 0o4755, uid: 7, gid: 8, mtime: new Date(1_000_000_000_000) },
    { name: 'etc/hard', type: 'link', linkname: 'etc/motd' },
    { name: 'etc/soft', type: 'symlink', linkname: '/etc/motd' },
    { name: 'gone', content: 'x' },
    { name: 'old/', type: 'directory' },
    { name: 'old/file', content: 'x' },
  ];
  const above: readonly TestEntry[] = [
    { name: '.wh.gone' },
    { name: 'old/', type: 'directory' },
    { name: 'old/.wh..wh..opq' },
    { name: 'old/new', content: 'y'.repeat(600_000) },
    { name: 'bin/tool', content: 'x', xattrs: { 'user.note': Buffer.from([0, 255]) } },
  ];
  const name = 'docker.io/t/x:1';
  const importTwo = async (store: LocalImageStore): Promise<void> => {
    const layers = [{ tar: await tarOf(base) }, { tar: await tarOf(above) }];
    const config = { Env: ['A=1'], Cmd: ['tool'] };
    const archive = await ociArchive({ name, layers, config });
    await store.importArchive(Readable.from([archive]), { name }, signal);
  };

  it('gives an image that is the same when it is imported, and the same bytes each time', async () => {
    const first = await open('first');
    await importTwo(first);
    const bytes = await exported(first, 't/x:1');
    expect(digestOf(await exported(first, first.resolve(name)?.id ?? ''))).toBe(digestOf(bytes));
    const second = await open('second');
    const [record] = await second.importArchive(Readable.from([bytes]), {}, signal);
    expect(record?.names).toEqual([name]);
    expect((await second.content(name)).config).toMatchObject({ env: ['A=1'], cmd: ['tool'] });
    expect(digestOf(await exported(second, name))).toBe(digestOf(bytes));
    const entries: string[] = [];
    for await (const { header, body } of readTar(Readable.from([bytes]), bytes.length)) {
      const path = tarText(header.name);
      const content = Buffer.concat(await Array.fromAsync(body));
      if (header.sizeBytes < 2000) continue;
      for await (const inner of readTar(Readable.from([content]), content.length)) {
        const { mode, uid, gid, sizeBytes, linkname } = inner.header;
        const what = [tarText(inner.header.name), inner.header.type, mode.toString(8), `${uid}:${gid}`];
        entries.push([...what, String(sizeBytes), tarText(linkname)].join(' ').trim());
      }
      expect(path).toMatch(/^blobs\/sha256\//);
    }
    await expect(`${entries.toSorted().join('\n')}\n`).toMatchFileSnapshot('golden/exported-layers.txt');
  });

  it('refuses what is not there, and keeps layers as long as they are read', async () => {
    const store = await open('store');
    await expect(exported(store, 'nobody:1')).rejects.toThrow('export image nobody:1: no such image');
    await importTwo(store);
    const parts = store.exportArchive([name], signal);
    await parts.next();
    await store.remove(name);
    expect((await Array.fromAsync(parts)).length).toBeGreaterThan(5);
    await expect(exported(store, name)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(readdirSync(`${directory}/store/layers`)).toEqual([]);
  });

  it('a file that is not what it was ends the archive', async () => {
    const store = await open('store');
    await importTwo(store);
    const parts = store.exportArchive([name], signal);
    await parts.next();
    const { lower } = await store.content(name);
    const file = lower.map((layer) => `${layer}/old/new`).find((path) => existsSync(path)) ?? '';
    writeFileSync(file, 'short');
    const read = async (): Promise<number> => (await Array.fromAsync(parts)).length;
    await expect(read()).rejects.toMatchObject({ code: 'E_CONFLICT' });
  });
});
