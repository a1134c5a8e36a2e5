/** Images whose documents are not what they should be: each is one well-formed image with some edits. */
import { array, constantFrom, integer, nat, oneof, option, record, type Arbitrary } from 'fast-check';
import { gzipSync } from 'node:zlib';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { tarOf } from '#agent/runtime/images/test-archive.ts';

/** A change to one document: of the value at one of its places, or of its text. */
export type Edit =
  | { readonly kind: 'set'; readonly place: number; readonly value: unknown }
  | { readonly kind: 'remove'; readonly place: number }
  | { readonly kind: 'add'; readonly place: number; readonly name: string; readonly value: unknown }
  | { readonly kind: 'repeat'; readonly place: number; readonly times: number }
  | { readonly kind: 'cut'; readonly place: number }
  | { readonly kind: 'flip'; readonly place: number; readonly bit: number }
  | { readonly kind: 'insert'; readonly place: number; readonly text: string };

const documentNames = ['config', 'manifest', 'index', 'layout', 'docker', 'repositories'] as const;
export type DocumentName = (typeof documentNames)[number];

export interface ImageDraft {
  /** Of the tars below. */
  readonly layers: readonly number[];
  /** Documents are digested after these edits, so that what refers to them finds them. */
  readonly edits: readonly (readonly [DocumentName, Edit])[];
  /** And before these. */
  readonly damage: readonly (readonly [DocumentName, Edit])[];
  /** How many indexes lie between the top one and the manifest. */
  readonly nesting: number;
  /** A file that is not there. */
  readonly missing: number | undefined;
  readonly kinds: 'oci' | 'docker' | 'both';
}

/** In the text of a document, such a string becomes the text that no JSON.stringify() writes. */
const rawTexts: readonly string[] = [
  '1e999',
  '-1',
  '-0.0',
  '9007199254740993',
  '18446744073709551616',
  '0.5',
  '[]',
  '{}',
  'null',
  'true',
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
  '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  '{"digest":"x","digest":"y"}',
  '"\\ud800"',
  `"${'x'.repeat(100_000)}"`,
  '\u{feff}1',
  '[1',
];

const zeros = `sha256:${'0'.repeat(64)}`;
const words: readonly string[] = [
  '',
  zeros,
  zeros.replace('sha256', 'sha512'),
  `sha256:${'A'.repeat(64)}`,
  '../../../../outside/canary',
  '/etc/passwd',
  'index.json',
  'manifest.json',
  'blobs/sha256',
  '.',
  '\0',
  'a\nb',
  'layers',
  'constructor',
  '__proto__',
  'toString',
  'linux',
  'unknown',
  'amd64',
  'arm64',
  'v8',
  'latest',
  'UPPER/case',
  'a/b:c',
  'localhost:99999/x:y',
  `example.com/a@${zeros}`,
  `${'long/'.repeat(60)}name`,
  '1.0.0',
  '9999-99-99T99:99:99Z',
  '275760-09-13T00:00:00.001Z',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
];

const value: Arbitrary<unknown> = oneof(
  constantFrom(...words),
  nat(rawTexts.length - 1).map((at) => `@raw:${at}`),
  constantFrom(0, 1, 2, -1, 1.5, 2 ** 53, 1e300, true, null, [], {}),
  array(constantFrom(...words), { maxLength: 4 }),
);
const place = nat(1000);
const edit: Arbitrary<Edit> = oneof(
  { weight: 6, arbitrary: record({ kind: constantFrom('set' as const), place, value }) },
  { weight: 2, arbitrary: record({ kind: constantFrom('remove' as const), place }) },
  {
    weight: 2,
    arbitrary: record({
      kind: constantFrom('add' as const),
      place,
      name: oneof(
        constantFrom(...words),
        constantFrom(
          'manifests',
          'layers',
          'mediaType',
          'platform',
          'annotations',
          'size',
          'digest',
          'config',
        ),
      ),
      value,
    }),
  },
  {
    weight: 2,
    arbitrary: record({
      kind: constantFrom('repeat' as const),
      place,
      times: constantFrom(2, 3, 127, 128, 300),
    }),
  },
  { weight: 1, arbitrary: record({ kind: constantFrom('cut' as const), place: nat(3000) }) },
  {
    weight: 1,
    arbitrary: record({ kind: constantFrom('flip' as const), place: nat(3000), bit: nat(7) }),
  },
  {
    weight: 1,
    arbitrary: record({
      kind: constantFrom('insert' as const),
      place: nat(3000),
      text: constantFrom(...rawTexts, ',', '"', '}', '[', '\0', '\\'),
    }),
  },
);
const edits = array(record({ of: constantFrom(...documentNames), edit }), { maxLength: 3 }).map((list) =>
  list.map((each) => [each.of, each.edit] as const),
);

/** Compressed or not, and one that is another's twin. */
const tars: readonly Buffer[] = await Promise.all([
  tarOf([{ name: 'hello', content: 'hello' }]),
  tarOf([{ name: 'etc/', type: 'directory' }]),
  tarOf([
    { name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\n' },
    { name: 'link', type: 'symlink', linkname: '/etc/passwd' },
  ]),
]);
const blobs = tars.map((tar, at) => (at === 1 ? gzipSync(tar) : tar));

export const imageDraft: Arbitrary<ImageDraft> = record({
  layers: array(nat(tars.length - 1), { maxLength: 3 }),
  edits,
  damage: oneof({ weight: 3, arbitrary: constantFrom([]) }, { weight: 1, arbitrary: edits }),
  nesting: oneof(constantFrom(0), integer({ min: 0, max: 4 })),
  missing: option(nat(8), { nil: undefined, freq: 8 }),
  kinds: constantFrom('oci', 'docker', 'both'),
});

export interface ImageFiles {
  readonly files: ReadonlyMap<string, Buffer>;
  /** The digests of the top index and of the manifest. */
  readonly top: string;
  readonly manifest: string;
}

const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
const platform = { os: 'linux', architecture };
const references = { 'org.opencontainers.image.ref.name': 'example.com/fuzz:1' };

/** The files of an image, by their names in an archive. */
export function filesOf(draft: ImageDraft): ImageFiles {
  const files = new Map<string, Buffer>();
  const written = (name: DocumentName, content: unknown): Buffer =>
    render(
      content,
      draft.edits.flatMap(([of, each]) => (of === name ? [each] : [])),
    );
  const keep = (name: DocumentName, path: string, bytes: Buffer): void => {
    const damage = draft.damage.flatMap(([of, each]) => (of === name ? [each] : []));
    files.set(path, damage.reduce(changeText, bytes));
  };
  const blobOf = (name: DocumentName, bytes: Buffer): object => {
    keep(name, `blobs/sha256/${hexOf(digestOf(bytes))}`, bytes);
    return { mediaType: name, digest: digestOf(bytes), size: bytes.length };
  };
  const layers = draft.layers.map((at) => ({ tar: tars[at] ?? emptyBuffer, blob: blobs[at] ?? emptyBuffer }));
  const config = written('config', {
    ...platform,
    created: '2026-01-01T00:00:00Z',
    config: {
      User: '1000:1000',
      Env: ['A=b'],
      Cmd: ['sh'],
      WorkingDir: '/w',
      Labels: { a: 'b' },
      ExposedPorts: { '80/tcp': {} },
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) },
  });
  const isLayout = draft.kinds !== 'docker';
  const manifest = written('manifest', {
    schemaVersion: 2,
    config: isLayout ? blobOf('config', config) : {},
    layers: layers.map(({ blob }) => ({ mediaType: 'layer', digest: digestOf(blob), size: blob.length })),
  });
  let top = manifest;
  if (isLayout) {
    for (const { blob } of layers) files.set(`blobs/sha256/${hexOf(digestOf(blob))}`, blob);
    let descriptor: object = { ...blobOf('manifest', manifest), platform };
    for (let depth = 0; depth < draft.nesting; depth++) {
      top = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }));
      descriptor = blobOf('repositories', top);
    }
    top = written('index', { schemaVersion: 2, manifests: [{ ...descriptor, annotations: references }] });
    keep('layout', 'oci-layout', written('layout', { imageLayoutVersion: '1.0.0' }));
    keep('index', 'index.json', top);
    blobOf('index', top);
  }
  if (draft.kinds !== 'oci') {
    layers.forEach(({ blob }, at) => files.set(`${at}/layer.tar`, blob));
    const paths = layers.map((_, at) => `${at}/layer.tar`);
    keep('config', 'config.json', config);
    keep('repositories', 'repositories', written('repositories', { fuzz: { latest: zeros } }));
    const images = [{ Config: 'config.json', RepoTags: ['fuzz:latest'], Layers: paths }];
    keep('docker', 'manifest.json', written('docker', images));
  }
  const gone = draft.missing === undefined ? undefined : [...files.keys()][draft.missing];
  if (gone !== undefined) files.delete(gone);
  return { files, top: digestOf(top), manifest: digestOf(manifest) };
}

const emptyBuffer = Buffer.alloc(0);

function render(content: unknown, list: readonly Edit[]): Buffer {
  const holder = { content: structuredClone(content) };
  for (const each of list) changeValue(holder, each);
  const text = JSON.stringify(holder.content) ?? '';
  const raw = text.replaceAll(/"@raw:(\d+)"/g, (_, at: string) => rawTexts[Number(at)] ?? '');
  return list.reduce(changeText, Buffer.from(raw));
}

type Container = Record<string, unknown> | unknown[];

/** Every place of a document: a container and a key of it. */
function placesOf(of: unknown): readonly (readonly [Container, string | number])[] {
  if (typeof of !== 'object' || of === null) return [];
  const container = of as Container;
  const keys = Array.isArray(container) ? [...container.keys()] : Object.keys(container);
  return keys.flatMap((key) => [[container, key] as const, ...placesOf(Reflect.get(container, key))]);
}

function changeValue(holder: { content: unknown }, each: Edit): void {
  const places = placesOf(holder);
  const [container, key] = places[each.place % places.length] ?? [holder, 'content'];
  const found: unknown = Reflect.get(container, key);
  const isThere = typeof found === 'object' && found !== null;
  if (each.kind === 'set') define(container, key, structuredClone(each.value));
  else if (each.kind === 'remove') Reflect.deleteProperty(container, key);
  else if (each.kind === 'add' && isThere) define(found, each.name, structuredClone(each.value));
  else if (each.kind === 'repeat' && Array.isArray(found))
    define(container, key, Array.from({ length: each.times }, () => found).flat());
}

/** As an own property, also where it is called __proto__. */
function define(container: object, key: string | number, given: unknown): void {
  Object.defineProperty(container, key, {
    value: given,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function changeText(bytes: Buffer, each: Edit): Buffer {
  const at = bytes.length === 0 ? 0 : each.place % bytes.length;
  if (each.kind === 'cut') return bytes.subarray(0, at);
  if (each.kind === 'insert')
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(each.text), bytes.subarray(at)]);
  if (each.kind !== 'flip') return bytes;
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ (1 << each.bit);
  return changed;
}
