/** Documents of images as builders and registries make them: each is imported as a layout and pulled, with the same image chosen. */
import { mkdtempSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { platformOf } from '#api/oci/platform.ts';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { openImageStore } from '#agent/runtime/images/image-store.ts';
import { serveImages } from '#agent/runtime/images/registry/registry.fixture.ts';
import { createRegistryClient } from '#agent/runtime/images/registry/registry.ts';
import { tarOf } from '#agent/runtime/images/test-archive.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';
import { systemClock } from '#base/clock.ts';

const isRoot = process.getuid?.() === 0;
const { signal } = new AbortController(); // The deadline is that of each test.
/** An x86-64 of the third level, whatever the test runs on. */
const platform = { ...platformOf('x64'), variant: 'v3' };

type Json = Readonly<Record<string, unknown>>;

/** Blobs of one image or several, and what names them. */
class Documents {
  readonly blobs = new Map<string, Buffer>();

  put(value: Json | Buffer, descriptor: Json = {}): Json {
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { digest, size: bytes.length, ...descriptor };
  }

  image(
    config: Json,
    { manifest = {}, descriptor = {} }: { readonly manifest?: Json; readonly descriptor?: Json } = {},
  ): Json {
    const diffIds = [digestOf(layer)];
    const { rootfs = { type: 'layers', diff_ids: diffIds }, ...rest } = config;
    return this.put(
      {
        schemaVersion: 2,
        config: this.put({ ...rest, rootfs }, { mediaType: 'application/vnd.oci.image.config.v1+json' }),
        layers: [this.put(gzipSync(layer), { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' })],
        ...manifest,
      },
      descriptor,
    );
  }

  index(manifests: readonly Json[], more: Json = {}): Json {
    return this.put({ schemaVersion: 2, manifests, ...more });
  }
}

const layer = await tarOf([{ name: 'file', content: 'content' }]);
const linux = (architecture: string, variant?: string): Json => ({
  platform: { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) },
});
const amd64 = { os: 'linux', architecture: 'amd64' };
const attestation = (documents: Documents): Json =>
  documents.put(
    {
      schemaVersion: 2,
      config: documents.put({
        architecture: 'unknown',
        os: 'unknown',
        config: {},
        rootfs: { type: 'layers', diff_ids: [] },
      }),
      layers: [],
    },
    {
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
  );

interface Row {
  readonly name: string;
  /** The top document. */
  readonly make: (documents: Documents) => Json;
  /** The author of the image that is to be chosen, or why there is none. */
  readonly want: string | RegExp;
}

const rows: readonly Row[] = [
  {
    name: 'BuildKit: attestations beside the image',
    make: (d) =>
      d.index([attestation(d), d.image({ ...amd64, author: 'this' }, { descriptor: linux('amd64') })]),
    want: 'this',
  },
  {
    name: 'Docker: no media types at all',
    make: (d) => d.index([d.image({ ...amd64, author: 'this' }, { descriptor: linux('amd64') })]),
    want: 'this',
  },
  {
    name: "Docker: a list of Docker's own types",
    make: (d) =>
      d.index(
        [
          d.image(
            { ...amd64, author: 'this' },
            {
              manifest: { mediaType: 'application/vnd.docker.distribution.manifest.v2+json' },
              descriptor: linux('amd64'),
            },
          ),
        ],
        { mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json' },
      ),
    want: 'this',
  },
  {
    name: 'crane: an index in an index',
    make: (d) =>
      d.index([d.index([d.index([d.image({ ...amd64, author: 'this' }, { descriptor: linux('amd64') })])])]),
    want: 'this',
  },
  {
    name: 'crane: several indexes in an index, the second has it',
    make: (d) =>
      d.index([
        d.index([d.image({ author: 'arm' }, { descriptor: linux('arm64') })]),
        d.index([d.image({ ...amd64, author: 'this' }, { descriptor: linux('amd64') })]),
      ]),
    want: 'this',
  },
  {
    name: 'oras: an artifact beside the image, neither with a platform',
    make: (d) =>
      d.index([
        d.put({ schemaVersion: 2, artifactType: 'application/spdx+json', config: d.put({}), layers: [] }),
        d.image({ ...amd64, author: 'this' }),
      ]),
    want: 'this',
  },
  {
    name: 'buildah: images without platforms, told apart by their configs',
    make: (d) =>
      d.index([
        d.image({ os: 'linux', architecture: 's390x', author: 'other' }),
        d.image({ ...amd64, author: 'this' }),
      ]),
    want: 'this',
  },
  {
    name: 'Bazel: an empty platform',
    make: (d) =>
      d.index([
        d.image({ ...amd64, author: 'this' }, { descriptor: { platform: { os: '', architecture: '' } } }),
      ]),
    want: 'this',
  },
  {
    name: 'GoReleaser: a config of the machine that built it',
    make: (d) =>
      d.index([
        d.image({ os: 'linux', architecture: 'arm64', author: 'this' }, { descriptor: linux('amd64') }),
      ]),
    want: 'this',
  },
  {
    name: 'buildx: variants of amd64, the highest first',
    make: (d) =>
      d.index([
        d.image({ ...amd64, author: 'v3' }, { descriptor: linux('amd64', 'v3') }),
        d.image({ ...amd64, author: 'plain' }, { descriptor: linux('amd64') }),
      ]),
    want: 'plain',
  },
  {
    name: 'buildx: only variants of amd64, one too high',
    make: (d) =>
      d.index([
        d.image({ ...amd64, author: 'v4' }, { descriptor: linux('amd64', 'v4') }),
        d.image({ ...amd64, author: 'v2' }, { descriptor: linux('amd64', 'v2') }),
        d.image({ ...amd64, author: 'v3' }, { descriptor: linux('amd64', 'v3') }),
      ]),
    want: 'v3',
  },
  {
    name: 'Docker: only one of 32 bits',
    make: (d) => d.index([d.image({ author: 'i386' }, { descriptor: linux('386') })]),
    want: 'i386',
  },
  {
    name: 'Docker: none for this machine',
    make: (d) =>
      d.index([
        attestation(d),
        d.index([d.image({}, { descriptor: linux('arm64', 'v8') })]),
        d.image({}, { descriptor: linux('s390x') }),
      ]),
    want: /it is for linux\/s390x, linux\/arm64\/v8, this machine is linux\/amd64$/,
  },
  {
    name: 'nobody: indexes in each other without end',
    make: (d) => Array.from({ length: 12 }).reduce<Json>((inner) => d.index([inner]), d.image(amd64)),
    want: /indexes in each other/,
  },
  {
    name: 'Docker: one manifest, no index',
    make: (d) => d.image({ ...amd64, author: 'this' }),
    want: 'this',
  },
  {
    name: 'Nix: no history, no created, rootfs first',
    make: (d) =>
      d.image({ rootfs: { diff_ids: [digestOf(layer)], type: 'layers' }, author: 'this', ...amd64 }),
    want: 'this',
  },
  {
    name: 'img: rootfs without a type',
    make: (d) => d.image({ ...amd64, author: 'this', rootfs: { diff_ids: [digestOf(layer)] } }),
    want: 'this',
  },
  { name: 'umoci: a config without a platform', make: (d) => d.image({ author: 'this' }), want: 'this' },
  {
    name: 'Jib: null for what is empty',
    make: (d) =>
      d.image(
        {
          ...amd64,
          author: 'this',
          history: null,
          config: { Env: null, Entrypoint: null, Cmd: null, Labels: null, ExposedPorts: null, Volumes: null },
        },
        { manifest: { annotations: null } },
      ),
    want: 'this',
  },
  {
    name: 'Docker: history with empty layers, and times of no sense',
    make: (d) =>
      d.image({
        ...amd64,
        author: 'this',
        created: '0001-01-01T00:00:00Z',
        history: [{ empty_layer: true, created: 'never' }, {}],
      }),
    want: 'this',
  },
  {
    name: 'Nix: created in year 1',
    make: (d) => d.image({ ...amd64, author: 'this', created: 'x' }),
    want: 'this',
  },
  {
    name: 'ocicrypt: layers that are encrypted',
    make: (d) =>
      d.image(amd64, {
        manifest: {
          layers: [d.put(layer, { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted' })],
        },
      }),
    want: /its layers are encrypted$/,
  },
  {
    name: 'Helm: a chart, which is no image',
    make: (d) =>
      d.put({
        schemaVersion: 2,
        config: d.put({ name: 'chart' }, { mediaType: 'application/vnd.cncf.helm.config.v1+json' }),
        layers: [d.put(Buffer.from('chart'))],
      }),
    want: /none of an image$/,
  },
];

describe.skipIf(!isRoot)('documents of all builders (needs root: owners)', () => {
  const scratch = scratchDirectory('podwright-documents-');
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(`${scratch}/`);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it.each(rows)('$name', async ({ make, want }) => {
    const documents = new Documents();
    const top = make(documents);
    await using registry = await serveImages();

    const registryClient = createRegistryClient({ clock: systemClock });
    const unpack = (request: Parameters<typeof unpackLayer>[0]): ReturnType<typeof unpackLayer> =>
      unpackLayer(request);
    const open = (name: string): ReturnType<typeof openImageStore> =>
      openImageStore({ directory: `${directory}/${name}`, unpack, platform, registry: registryClient });
    for (const bytes of documents.blobs.values()) registry.put(bytes);
    registry.put(documents.blobs.get(String(top['digest'])) ?? Buffer.alloc(0), 'team/app:1');
    const annotations = { 'org.opencontainers.image.ref.name': 'example.com/team/app:1' };
    const archive = await tarOf([
      { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
      {
        name: 'index.json',
        content: JSON.stringify({ schemaVersion: 2, manifests: [{ ...top, annotations }] }),
      },
      ...[...documents.blobs].map(([digest, content]) => ({
        name: `blobs/sha256/${hexOf(digest)}`,
        content,
      })),
    ]);
    const [forPull, forImport] = [await open('pulled'), await open('imported')];
    const [pulled, imported] = await Promise.allSettled([
      forPull.pull(`${registry.host}/team/app:1`, {}, signal),
      forImport.importArchive(Readable.from([archive]), {}, signal).then(([image]) => image),
    ]);
    for (const outcome of [pulled, imported]) {
      if (typeof want !== 'string') {
        expect(outcome).toMatchObject({
          status: 'rejected',
          reason: { message: expect.stringMatching(want) },
        });
        continue;
      }
      expect(outcome).toMatchObject({ status: 'fulfilled' });
      const id = outcome.status === 'fulfilled' ? outcome.value?.id : undefined;
      const config = documents.blobs.get(id ?? '')?.toString() ?? '{}';
      expect((JSON.parse(config) as { readonly author?: string }).author).toBe(want);
    }
  });
});
