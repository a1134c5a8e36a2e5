/** Layers as builders make them: each quirk is imported and pulled, and what a container would see is what GNU tar makes of it, and containerd. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { systemClock } from '#base/clock.ts';
import { openImageStore, type LocalImageStore } from '#agent/runtime/images/image-store.ts';
import {
  hasDebianRegistry,
  startDebianRegistry,
  type DebianRegistry,
} from '#agent/runtime/images/registry/debian-registry.fixture.ts';
import { Containerd, containerdDiffers, hasContainerd } from './containerd-reference.fixture.ts';
import { layerQuirks } from './layer-quirks.fixture.ts';
import { file, tarOfQuirk, type LayerQuirk } from './quirk.fixture.ts';
import type { Snapshot } from './overlay-snapshot.fixture.ts';
import { createRegistryClient } from '#agent/runtime/images/registry/registry.ts';
import { serveImages, type FakeRegistry } from '#agent/runtime/images/registry/registry.fixture.ts';
import { ociArchive } from '#agent/runtime/images/test-archive.ts';
import { unpackByTar } from './tar-reference.fixture.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController(); // The deadline is that of each test.

/** A program in a mount namespace of its own, so that no overlay outlives the test. */
class Snapshots {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor(directory: string) {
    const program = fileURLToPath(new URL('./overlay-snapshot.fixture.ts', import.meta.url));
    this.#child = spawn('unshare', [
      '--mount',
      '--propagation',
      'private',
      process.execPath,
      program,
      directory,
    ]);
    this.#child.stderr.pipe(process.stderr);
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async of(what: { readonly lower: readonly string[] } | { readonly directory: string }): Promise<Snapshot> {
    this.#child.stdin.write(`${JSON.stringify(what)}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error('the program that mounts ended');
    return JSON.parse(answer.value) as Snapshot;
  }

  end(): void {
    this.#child.stdin.end();
  }
}

describe.skipIf(!isRoot)('layers of all builders (needs root: owners, devices, overlayfs)', () => {
  let directory = '';
  let snapshots: Snapshots;
  let registry: FakeRegistry;
  let imported: LocalImageStore;
  let pulled: LocalImageStore;
  let debian: DebianRegistry | undefined;
  let fromDebian: LocalImageStore;
  let containerd: Containerd | undefined;

  beforeAll(async () => {
    directory = mkdtempSync('/tmp/podwright-quirks-');
    mkdirSync(`${directory}/tmp`);
    snapshots = new Snapshots(`${directory}/tmp`);
    registry = await serveImages();
    const client = createRegistryClient({ clock: systemClock });
    const unpack = (request: Parameters<typeof unpackLayer>[0]): ReturnType<typeof unpackLayer> =>
      unpackLayer(request);
    imported = await openImageStore({ directory: `${directory}/imported`, unpack });
    pulled = await openImageStore({ directory: `${directory}/pulled`, unpack, registry: client });
    fromDebian = await openImageStore({ directory: `${directory}/from-debian`, unpack, registry: client });
    if (hasDebianRegistry) debian = await startDebianRegistry(directory);
    if (hasContainerd) containerd = await Containerd.start(`${directory}/containerd`);
  });
  afterAll(async () => {
    snapshots.end();
    await registry[Symbol.asyncDispose]();
    await debian?.[Symbol.asyncDispose]();
    await containerd?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const reference = async (quirk: LayerQuirk, name: string): Promise<Snapshot> => {
    const root = `${directory}/tmp/reference-${name}`;
    mkdirSync(root);
    for (const entries of quirk.layers) unpackByTar(root, entries);
    const seen = await snapshots.of({ directory: root });
    rmSync(root, { recursive: true });
    return seen;
  };

  it.each(layerQuirks.map((quirk, at) => ({ ...quirk, at, layers: ownLayers(quirk, at) })))(
    '$name',
    async (quirk) => {
      const name = `quirk/${quirk.at}:1`;
      const compress = quirk.compress ?? ((tar: Buffer) => (quirk.at % 2 === 0 ? tar : gzipSync(tar)));
      const layers = quirk.layers
        .map((entries) => tarOfQuirk(entries, quirk))
        .map((tar) => ({ tar, blob: compress(tar) }));
      const files = await ociArchive({ layers, name, asFiles: true });
      const archive = await ociArchive({ layers, name });
      const [image] = await imported.importArchive(Readable.from([archive]), {}, signal);
      const manifest = registry.add(name, files);
      const same = await pulled.pull(`${registry.host}/${name}`, {}, signal);
      expect(same.id).toBe(image?.id);
      expect(same.digests).toContain(`${registry.host}/quirk/${quirk.at}@${manifest}`);

      const { lower } = await imported.content(same.id);
      const seen = await snapshots.of({ lower });
      const again = await snapshots.of({ lower: (await pulled.content(same.id)).lower });
      expect(ofSaidTimes(again, seen)).toEqual(seen);
      if (debian !== undefined) {
        const digest = await debian.push(name, files);
        const own = await fromDebian.pull(`${debian.host}/${name}`, {}, signal);
        expect(own.id).toBe(same.id);
        expect(own.digests).toContain(`${debian.host}/quirk/${quirk.at}@${digest}`);
        const once = await snapshots.of({ lower: (await fromDebian.content(own.id)).lower });
        expect(ofSaidTimes(once, seen)).toEqual(seen);
      }
      for (const [path, want] of Object.entries(quirk.want ?? {})) {
        if (want === undefined) expect(seen, path).not.toHaveProperty([path]);
        else expect(seen[path], path).toMatch(want);
      }
      if (quirk.isOwn === true) return;
      const wanted = await reference(quirk, String(quirk.at));
      expect(ofSaidTimes(seen, wanted)).toEqual(wanted);
      if (containerd === undefined || debian === undefined || containerdDiffers.has(quirk.name)) return;
      const root = containerd.unpack(
        `${debian.host}/${name}`,
        layers.map(({ tar }) => digestOf(tar)),
      );
      const other = await snapshots.of({ directory: root });
      expect(ofSaidTimes(seen, other)).toEqual(other);
    },
  );
});

/** A layer that another row has too would be unpacked once only. */
function ownLayers({ layers }: LayerQuirk, at: number): LayerQuirk['layers'] {
  return layers.map((entries) => (entries.length === 0 ? entries : [...entries, file(`row-${at}`, '')]));
}

/** Times of directories that no entry says are whenever they were made. */
function ofSaidTimes(seen: Snapshot, wanted: Snapshot): Snapshot {
  return Object.fromEntries(
    Object.entries(seen).map(([path, text]) => {
      const isNew = wanted[path]?.split(' ')[2] === 'new';
      return [path, isNew ? text.replace(/^(\S+ \S+) \S+/, '$1 new') : text];
    }),
  );
}
