/** Documents of images, from archives and from registries: a proper image, or a clear error and nothing that is left of it. */
import { array, constantFrom, nat, oneof, record, type Arbitrary } from 'fast-check';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { LocalImageStore, openImageStore } from '#agent/runtime/images/image-store.ts';
import { createRegistryClient } from '#agent/runtime/images/registry/registry.ts';
import { tarOf } from '#agent/runtime/images/test-archive.ts';
import { unpackLayer } from '#agent/runtime/images/unpack/unpack-layer.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { formatReference, parseReference } from '#api/oci/reference.ts';
import { systemClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { fuzz } from './fuzz.ts';
import { filesOf, imageDraft, type ImageFiles } from './image-documents.fixture.ts';

const root = scratchDirectory('podwright-fuzz-', existsSync('/dev/shm') ? '/dev/shm' : undefined);
const node = join(root, 'node');
const layout = join(root, 'layout');
const outside = join(root, 'outside');
const deadlineMs = 60_000;
/** Of a line for a person. */
const messageLengthMax = 4096;
const told = new Map<string, number>();
let store: LocalImageStore;
let port = 0;
/** What the registry answers now. */
let answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) =>
  void response.end();
const server = createServer((request, response) => answer(request, response));

beforeAll(async () => {
  mkdirSync(outside);
  writeFileSync(join(outside, 'canary'), 'untouched');
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  store = await openImageStore({
    directory: node,
    unpack: (request) => unpackLayer(request),
    limits: { entriesMax: 50, bytesMax: 1_000_000 },
    registry: createRegistryClient({
      clock: systemClock,
      retry: { initialMs: 1, factor: 1, maxMs: 1 },
      // Whatever it is sent to, nothing leaves this process.
      connect: async () => connect({ host: '127.0.0.1', port }),
    }),
  });
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  console.log(Object.fromEntries([...told].toSorted(([, a], [, b]) => b - a)));
});

/** What the store has beyond its empty directories. */
function contents(): readonly string[] {
  return ['images/tmp', 'images/blobs/sha256', 'layers'].flatMap((path) =>
    readdirSync(join(node, path)).map((name) => `${path}/${name}`),
  );
}

/** That every record is one of an image that can run. */
async function expectProper(records: readonly ImageRecord[]): Promise<void> {
  for (const { id, names, digests, sizeBytes, createdAtMs } of records) {
    expect(digestOf(readFileSync(join(node, 'images/blobs/sha256', hexOf(id))))).toBe(id);
    for (const name of names) expect(formatReference(parseReference(name))).toBe(name);
    for (const digest of digests) expect(parseReference(digest).digest).toBeDefined();
    expect(sizeBytes >= 0 && Number.isFinite(sizeBytes) && Number.isFinite(createdAtMs)).toBe(true);
    const content = await store.content(id);
    for (const lower of content.lower)
      expect(existsSync(lower) && dirname(lower) === join(node, 'layers')).toBe(true);
  }
  const again = new LocalImageStore({ directory: node });
  expect(await again.load()).toBeUndefined();
  expect(again.list()).toEqual(store.list());
}

async function checkTaken(take: (signal: AbortSignal) => Promise<readonly ImageRecord[]>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no end after ${deadlineMs} ms`)), deadlineMs);
  let kind = 'taken';
  try {
    const records = await Promise.race([take(new AbortController().signal), late]);
    expect(records.length).toBeGreaterThan(0);
    await expectProper(records);
    for (const { id } of records) await store.remove(id);
  } catch (error) {
    if (!isPodwrightError(error)) throw error;
    kind = `${error.code} ${error.message}`.replace(/sha256[:/][0-9a-fA-F]+|\d+/g, '…').slice(0, 70);
    expect([
      'E_INVALID',
      'E_UNSUPPORTED',
      'E_LIMIT',
      'E_NOT_FOUND',
      'E_USAGE',
      'E_PERMISSION',
      'E_CONNECTION',
    ]).toContain(error.code);
    expect(error.message.length).toBeLessThan(messageLengthMax);
  } finally {
    clearTimeout(timer);
  }
  expect(store.list()).toEqual([]);
  expect(contents()).toEqual([]);
  expect(
    readdirSync(root)
      .filter((name) => name !== 'layout')
      .toSorted(),
  ).toEqual(['node', 'outside']);
  expect(readdirSync(outside)).toEqual(['canary']);
  expect(Reflect.get({}, 'polluted')).toBeUndefined();
  if (told.size < 80) told.set(kind, (told.get(kind) ?? 0) + 1);
}

function writeLayout({ files }: ImageFiles): void {
  rmSync(layout, { recursive: true, force: true });
  mkdirSync(layout);
  for (const [name, content] of files) {
    mkdirSync(dirname(join(layout, name)), { recursive: true });
    writeFileSync(join(layout, name), content);
  }
}

/** What a registry says instead of, or with, what it was asked for. */
interface Oddity {
  readonly at: number;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly ending: 'whole' | 'half' | 'cut' | 'twice';
}

const header: Arbitrary<Readonly<Record<string, string>>> = constantFrom<Readonly<Record<string, string>>[]>(
  {},
  ...[
    '/elsewhere',
    '//',
    'http://',
    'https://127.0.0.1/x',
    'ftp://a/',
    'http://[',
    'http://a:99999/',
    '?',
    ' ',
  ].map((location) => ({ location })),
  ...[
    'Basic realm="x"',
    'Bearer',
    'Bearer realm=',
    'Bearer realm="http://127.0.0.1/token",service="\\"',
    'Bearer realm="http://127.0.0.1/token",scope=a,__proto__=b',
    'Bearer realm="file:///etc/passwd"',
    'Bearer realm="http://["',
    `Bearer ${'a="b",'.repeat(500)}`,
    '"""""=,,,',
  ].map((challenge) => ({ 'www-authenticate': challenge })),
  { 'content-length': '3' },
  { 'content-length': '99999999999' },
  { 'content-range': 'bytes 0-/*' },
  { 'content-encoding': 'gzip' },
  { 'content-type': 'text/html' },
);
const oddity: Arbitrary<Oddity> = record({
  at: nat(6),
  status: constantFrom(200, 200, 204, 206, 301, 302, 307, 399, 401, 401, 403, 404, 429, 500, 503, 999),
  headers: header,
  ending: constantFrom('whole', 'half', 'cut', 'twice'),
});

function serve({ files, top, manifest }: ImageFiles, oddities: readonly Oddity[], isIndexed: boolean): void {
  let requests = 0;
  const blobs = new Map([...files.values()].map((bytes) => [digestOf(bytes), bytes]));
  // By the names that they are asked for, whatever they are now.
  for (const [name, bytes] of files)
    if (name.startsWith('blobs/')) blobs.set(`sha256:${name.slice(13)}`, bytes);
  answer = (request, response) => {
    const { at: _, status, headers, ending } = oddities.find(({ at }) => at === requests) ?? plain;
    requests += 1;
    const name = /\/(?:manifests|blobs)\/([^/?]+)$/.exec(request.url ?? '')?.[1] ?? '';
    const bytes = (request.url ?? '').startsWith('/token')
      ? Buffer.from('{"token":"t"}')
      : blobs.get(name === 'latest' ? (isIndexed ? top : manifest) : name);
    if (bytes === undefined) return void response.writeHead(404).end();
    response.on('error', () => undefined);
    response.writeHead(status, headers);
    if (ending === 'whole') return void response.end(bytes);
    response.write(ending === 'twice' ? Buffer.concat([bytes, bytes]) : bytes.subarray(0, bytes.length >> 1));
    if (ending === 'cut') response.destroy();
    else response.end();
  };
}

const plain: Oddity = { at: 0, status: 200, headers: {}, ending: 'whole' };

describe.skipIf(process.getuid?.() !== 0)('documents of images (needs root: owners of files)', () => {
  fuzz('documents of image archives', {
    arbitrary: record({
      draft: imageDraft,
      as: constantFrom('tar', 'gzip', 'directory'),
      named: constantFrom(true, false),
    }),
    check: async ({ draft, as, named }) => {
      const made = filesOf(draft);
      const options = { name: named ? 'other:2' : undefined };
      if (as === 'directory') writeLayout(made);
      const tar = await tarOf([...made.files].map(([name, content]) => ({ name, content })));
      await checkTaken((signal) =>
        as === 'directory'
          ? store.importArchive({ directory: layout }, options, signal)
          : store.importArchive(Readable.from([as === 'gzip' ? gzipSync(tar) : tar]), options, signal),
      );
    },
  });

  fuzz('documents of registries, and what they answer with', {
    arbitrary: record({
      draft: imageDraft.map((draft) => ({ ...draft, kinds: 'oci' as const })),
      oddities: oneof(constantFrom([]), array(oddity, { maxLength: 4 })),
      isIndexed: constantFrom(true, false),
    }),
    check: async ({ draft, oddities, isIndexed }) => {
      serve(filesOf(draft), oddities, isIndexed);
      await checkTaken(async (signal) => [
        await store.pull('127.0.0.1:5000/fuzz', { credentials: { username: 'u', password: 'p' } }, signal),
      ]);
    },
  });
});
