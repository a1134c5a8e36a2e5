import { mkdtempSync, rmSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { systemClock } from '#base/clock.ts';
import { digestOf } from './blob-store.ts';
import { openImageStore, type LocalImageStore } from './image-store.ts';
import { serveImages, type FakeRegistry, type RequestHandler } from './registry/registry.fixture.ts';
import { createRegistryClient } from './registry/registry.ts';
import { ociArchive, tarOf, type TestLayer } from './test-archive.ts';
import { unpackLayer } from './unpack/unpack-layer.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController(); // The deadline is that of each test.

const content = Buffer.alloc(4_000_000, 'content');
const tar = await tarOf([{ name: 'file', content }]);
const blob = gzipSync(tar, { level: 0 });
const twice = { tar: await tarOf([{ name: 'on/no/parents', content: 'x' }]) };

const scratch = scratchDirectory('podwright-resume-');
let directory = '';
beforeEach(() => {
  directory = mkdtempSync(`${scratch}/`);
});
afterEach(() => rmSync(directory, { recursive: true }));

function openStore(name = 'node'): Promise<LocalImageStore> {
  const registry = createRegistryClient({ clock: systemClock, retry: { initialMs: 1, factor: 1, maxMs: 1 } });
  return openImageStore({
    directory: `${directory}/${name}`,
    unpack: (request) => unpackLayer(request),
    registry,
  });
}

async function served(
  before: RequestHandler,
  layers: readonly TestLayer[] = [{ tar, blob }],
): Promise<FakeRegistry> {
  const registry = await serveImages(before);
  registry.add('team/app:1', await ociArchive({ layers, name: 'x', asFiles: true }));
  return registry;
}

const layerRequests = ({ requests }: FakeRegistry, digest = digestOf(blob)): readonly string[] =>
  requests.filter((request) => request.includes(digest)).map((request) => request.split(' ')[1] ?? '');

/** Sends so many bytes of the layer from where it is asked, and breaks the connection. */
const breaking =
  (bytesEach: number, takesRanges = true): RequestHandler =>
  (request, response) => {
    if (!(request.url ?? '').includes(digestOf(blob))) return false;
    const asked = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const from = takesRanges ? asked : 0;
    const range = { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` };
    response.writeHead(from > 0 ? 206 : 200, {
      'content-length': blob.length - from,
      ...(from > 0 ? range : {}),
    });
    response.write(blob.subarray(from, from + bytesEach), () =>
      // By a FIN, behind the bytes: a reset may overtake them.
      from + bytesEach >= blob.length ? response.end() : response.socket?.end(),
    );
    return true;
  };

describe.skipIf(!isRoot)('a download (needs root: unpacking sets owners)', () => {
  it('goes on where it stopped, as often as more comes', async () => {
    // Of what came before the end Node drops what nobody has read yet, some 64 KiB: more than that is left each time.
    await using registry = await served(breaking(400_000));

    const image = await (await openStore()).pull(`${registry.host}/team/app:1`, {}, signal);
    expect(image.names).toHaveLength(1);
    const froms = layerRequests(registry).map((range) => Number(/\d+/.exec(range)?.[0] ?? 0));
    expect(froms.length).toBeGreaterThan(8);
    expect(froms).toEqual(froms.toSorted((a, b) => a - b));
  });

  it.each([
    { name: 'comes a byte at a time', before: breaking(1) },
    { name: 'always begins anew and breaks', before: breaking(500_000, false) },
  ])('ends where it $name', async ({ before }) => {
    await using registry = await served(before);

    const pulling = (await openStore()).pull(`${registry.host}/team/app:1`, {}, signal);
    await expect(pulling).rejects.toMatchObject({ code: 'E_CONNECTION' });
    expect(layerRequests(registry).length).toBeLessThan(8);
  });

  it('begins anew where another part is sent than was asked for', async () => {
    let asked = 0;
    await using registry = await served((request, response) => {
      if (!(request.url ?? '').includes(digestOf(blob))) return false;
      asked += 1;
      if (asked === 1) return breaking(300_000)(request, response);
      if (asked > 2) return false;
      response.writeHead(206, { 'content-range': `bytes 5-${blob.length - 1}/${blob.length}` });
      response.end(blob.subarray(5));
      return true;
    });

    await (await openStore()).pull(`${registry.host}/team/app:1`, {}, signal);
    expect(layerRequests(registry)[2]).toBe('');
  });

  it('is one for each blob, of images pulled at once and of a layer that is there again', async () => {
    const layers = [
      { tar, blob },
      { ...twice, blob: twice.tar },
      { tar, blob },
      { ...twice, blob: twice.tar },
    ];
    await using registry = await served(() => false, layers);

    const store = await openStore();
    const names = ['team/app:1', 'team/app:2', 'other/app:1', 'other/app:2'];
    const files = await ociArchive({ layers, name: 'x', asFiles: true });
    for (const name of names) registry.add(name, files);
    const images = await Promise.all(names.map((name) => store.pull(`${registry.host}/${name}`, {}, signal)));
    expect(new Set(images.map(({ id }) => id)).size).toBe(1);
    expect(layerRequests(registry)).toHaveLength(1);
    expect(layerRequests(registry, digestOf(twice.tar))).toHaveLength(1);
  });
});
