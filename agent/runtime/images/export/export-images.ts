/**
 * Images as one archive: an OCI layout that is a docker-archive as well (manifest.json), as `docker save` writes it. Layers are made anew of their
 * directories, which are their one copy, and are not compressed: so an image that is exported has other digests than where it was pulled from, and the
 * same each time.
 */
import { createHash } from 'node:crypto';
import { PodwrightError } from '#base/errors.ts';
import { digestOf } from '#agent/runtime/images/blob-store.ts';
import { hexOf } from '#api/oci/digest.ts';
import { layerTar } from './layer-tar.ts';
import { renderTarHeader, tarEnd, tarPadding } from './tar-header.ts';

export interface ExportedImage {
  /** Full references; without any, the image is found by its digest. */
  readonly names: readonly string[];
  readonly config: Buffer;
  /** Directories, bottom first. */
  readonly layers: readonly string[];
}

interface Blob {
  readonly digest: string;
  readonly sizeBytes: number;
}

interface RenderedImage {
  readonly names: readonly string[];
  readonly config: Buffer;
  readonly manifest: Buffer;
  readonly layers: readonly Blob[];
}

/** The tar, as it is made. Each layer is read twice, since its name in the archive is its digest. */
export async function* exportImages(
  images: readonly ExportedImage[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const layers = new Map<string, Blob>();
  for (const directory of new Set(images.flatMap((image) => image.layers)))
    layers.set(directory, await measure(layerTar(directory, signal)));
  const rendered = images.map((image) => renderImage(image, layers));
  const documents = renderDocuments(rendered);
  const directories = new Map([...layers].map(([directory, { digest }]) => [digest, directory]));
  const sizes = new Map([...layers.values()].map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  yield directoryHeader('blobs/');
  yield directoryHeader('blobs/sha256/');
  for (const [name, bytes] of documents) {
    yield fileHeader(name, bytes.length);
    yield bytes;
    yield tarPadding(bytes.length);
  }
  for (const [digest, directory] of [...directories].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const sizeBytes = sizes.get(digest) ?? 0;
    yield fileHeader(blobPath(digest), sizeBytes);
    yield* sameAgain(layerTar(directory, signal), { digest, sizeBytes });
    yield tarPadding(sizeBytes);
  }
  yield tarEnd;
}

/** @throws E_CONFLICT as soon as more comes than was measured, or at the end where it was something else */
async function* sameAgain(chunks: AsyncIterable<Buffer>, measured: Blob): AsyncGenerator<Buffer> {
  const changed = (): PodwrightError =>
    new PodwrightError('E_CONFLICT', `export layer ${measured.digest}: it was changed while it was read`);
  const hash = createHash('sha256');
  let left = measured.sizeBytes;
  for await (const chunk of chunks) {
    hash.update(chunk);
    left -= chunk.length;
    if (left < 0) throw changed();
    yield chunk;
  }
  if (left !== 0 || `sha256:${hash.digest('hex')}` !== measured.digest) throw changed();
}

async function measure(chunks: AsyncIterable<Buffer>): Promise<Blob> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

/** Pure from here on. */
function renderImage(
  { names, config: original, layers: directories }: ExportedImage,
  known: ReadonlyMap<string, Blob>,
): RenderedImage {
  const layers = directories.map((directory) => known.get(directory) ?? { digest: '', sizeBytes: 0 });
  const said: Readonly<Record<string, unknown>> = JSON.parse(original.toString());
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const config = Buffer.from(JSON.stringify({ ...said, rootfs }));
  const manifest = {
    schemaVersion: 2,
    mediaType: `${mediaTypes}manifest.v1+json`,
    config: descriptor('config.v1+json', { digest: digestOf(config), sizeBytes: config.length }),
    layers: layers.map((layer) => descriptor('layer.v1.tar', layer)),
  };
  return { names, config, manifest: Buffer.from(JSON.stringify(manifest)), layers };
}

const mediaTypes = 'application/vnd.oci.image.';

function descriptor(type: string, { digest, sizeBytes }: Blob): object {
  return { mediaType: `${mediaTypes}${type}`, digest, size: sizeBytes };
}

/** By path, in the order in which they are written; what is the same is there once. */
function renderDocuments(images: readonly RenderedImage[]): ReadonlyMap<string, Buffer> {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const blobs = images.flatMap(({ config, manifest }) => [config, manifest]);
  const sorted = blobs.map((bytes) => [blobPath(digestOf(bytes)), bytes] as const);
  const manifests = images.flatMap(({ names, manifest }) => {
    const own = { digest: digestOf(manifest), sizeBytes: manifest.length };
    const plain = descriptor('manifest.v1+json', own);
    return names.length === 0 ? [plain] : names.map((name) => ({ ...plain, annotations: namesOf(name) }));
  });
  const listed = images.map(({ names, config, layers }) => ({
    Config: blobPath(digestOf(config)),
    RepoTags: names,
    Layers: layers.map(({ digest }) => blobPath(digest)),
  }));
  return new Map([
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    ['index.json', json({ schemaVersion: 2, mediaType: `${mediaTypes}index.v1+json`, manifests })],
    ['manifest.json', json(listed)],
    ...sorted.toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}

/** As containerd and docker write them: the whole reference, and its tag for those who know that alone. */
function namesOf(name: string): Readonly<Record<string, string>> {
  const tag = /:([^:/@]+)$/.exec(name)?.[1];
  return {
    'io.containerd.image.name': name,
    ...(tag === undefined ? {} : { 'org.opencontainers.image.ref.name': tag }),
  };
}

function blobPath(digest: string): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

const plain = { uid: 0, gid: 0, mtimeNs: 0n } as const;

function fileHeader(name: string, sizeBytes: number): Buffer {
  return renderTarHeader({ ...plain, name, type: 'file', mode: 0o644, sizeBytes });
}

function directoryHeader(name: string): Buffer {
  return renderTarHeader({ ...plain, name, type: 'directory', mode: 0o755, sizeBytes: 0 });
}
