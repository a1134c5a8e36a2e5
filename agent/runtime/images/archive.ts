/**
 * Image archives: OCI layouts (a directory, or a tar of one) and docker-archives. A tar is staged into a directory first,
 * since manifest.json comes last in it and layers may be links to one another.
 */
import { open, readFile, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { algorithmOf, hexOf } from '#api/oci/digest.ts';
import { parseDockerArchive, type DockerArchiveImage } from '#api/oci/docker-archive.ts';
import { documentBytesMax, field, parseDocument, shortened } from '#api/oci/document.ts';
import { parseManifest, type Descriptor } from '#api/oci/manifest.ts';
import type { Platform } from '#api/oci/platform.ts';
import { formatReference, parseReference, repositoryOf } from '#api/oci/reference.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { digestOf, isDigestOf } from './blob-store.ts';
import { chooseImage, type DocumentSource } from './choose-image.ts';
import { decompress } from './unpack/decompress.ts';
import { imageError } from './image-error.ts';
import { archiveSource, type IncomingImage, type IncomingLayer } from './incoming-image.ts';
import { tarText } from './unpack/tar-block.ts';
import { readTar } from './unpack/tar-reader.ts';

/** Bounds of an archive's own entries; those of its layers are unpack-layer.ts's. */
export const archiveLimits: Readonly<
  Record<'entriesMax' | 'bytesMax' | 'nameBytesMax' | 'imagesMax' | 'namesMax' | 'documentsBytesMax', number>
> = {
  entriesMax: 10_000,
  bytesMax: 64 * 1024 ** 3,
  /** Of a name or the target of a link, which are kept until the end; that of a path (PATH_MAX). */
  nameBytesMax: 4096,
  imagesMax: 1000,
  /** Of all its images. */
  namesMax: 10_000,
  /** Of all manifests and configs, which are kept until the images are stored. */
  documentsBytesMax: 64 * 1024 ** 2,
};

/** Of the tar itself: headers and empty blocks are less than as much again as its files. */
const tarBytesMax = 2 * archiveLimits.bytesMax;

/** Where the parts of an archive lie: a path inside it gives a file, or nothing. */
export interface ArchiveFiles {
  locate(path: string): string | undefined;
}

/** An OCI layout that is already a directory. Only the fixed names and blobs by digest are ever asked for. */
export function directoryFiles(directory: string): ArchiveFiles {
  return { locate: (path) => `${directory}/${path}` };
}

/**
 * Writes the files of an archive into `directory` under names of our own, so that no path of it is ever used as one.
 * @throws E_INVALID, E_LIMIT, E_NO_SPACE
 */
export async function stageArchive(
  source: Readable,
  directory: string,
  signal: AbortSignal,
): Promise<ArchiveFiles> {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  const onAbort = (): void => void source.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    let bytes = 0;
    let entries = 0;
    for await (const { header, body } of readTar(await decompress(source), tarBytesMax)) {
      signal.throwIfAborted();
      entries += 1;
      bytes += header.sizeBytes;
      if (entries > archiveLimits.entriesMax) throw tooLarge(`more than ${archiveLimits.entriesMax} entries`);
      if (bytes > archiveLimits.bytesMax) throw tooLarge(`more than ${archiveLimits.bytesMax} bytes`);
      const { nameBytesMax } = archiveLimits;
      if (Math.max(header.name.length, header.linkname.length) > nameBytesMax)
        throw tooLarge(`a name of more than ${nameBytesMax} bytes`);
      const path = normalise(tarText(header.name));
      if (header.type === 'symlink') links.set(path, normalise(`${path}/../${tarText(header.linkname)}`));
      if (header.type === 'link') links.set(path, normalise(tarText(header.linkname)));
      if (header.type !== 'file') continue;
      const staged = `${directory}/${entries}`;
      await using file = await open(staged, 'wx', 0o600);

      for await (const chunk of body) await file.writeFile(chunk);
      files.set(path, staged);
    }
    return { locate: (path) => files.get(path) ?? files.get(links.get(path) ?? '') };
  } catch (error) {
    signal.throwIfAborted();
    throw imageError('read image archive', error, directory);
  } finally {
    signal.removeEventListener('abort', onAbort);
    source.destroy();
  }
}

/** The path of an entry with `.` and `..` resolved inside the archive. */
function normalise(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** The images of an archive for `platform`. @throws E_INVALID when it is neither kind, or parts are missing */
export async function readArchive(
  files: ArchiveFiles,
  options: { readonly platform: Platform; readonly name: string | undefined },
): Promise<readonly IncomingImage[]> {
  const parts = partsOf(files);
  const index = await parts.read('index.json');
  const layout = index === undefined ? undefined : await parts.read('oci-layout');
  if (index !== undefined && layout !== undefined) return readLayout(parts, { index, layout }, options);
  const manifest = await parts.read('manifest.json');
  if (manifest === undefined) {
    throw new PodwrightError(
      'E_INVALID',
      'read image archive: neither an OCI layout (index.json) nor a docker-archive (manifest.json), or cut short',
    );
  }
  const listed = parseDockerArchive(manifest);
  checkCounts(listed.length, sum(listed.map((image) => image.repoTags.length)));
  const images: IncomingImage[] = [];
  for (const image of listed) images.push(await readDockerImage(parts, image, options.name));
  return images;
}

/** @throws E_LIMIT */
function checkCounts(images: number, names: number): void {
  const { imagesMax, namesMax } = archiveLimits;
  if (images > imagesMax) throw tooLarge(`more than ${imagesMax} images`);
  if (names > namesMax) throw tooLarge(`more than ${namesMax} names of images`);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

async function readLayout(
  parts: ArchiveParts,
  documents: { readonly index: Buffer; readonly layout: Buffer },
  options: { readonly platform: Platform; readonly name: string | undefined },
): Promise<readonly IncomingImage[]> {
  const layout = parseDocument('oci-layout', documents.layout);
  if (field(layout, 'imageLayoutVersion').value !== '1.0.0') {
    throw new PodwrightError('E_UNSUPPORTED', 'read OCI layout: only version 1.0.0 is known');
  }
  const top = parseManifest(documents.index);
  if (top.kind !== 'index' || top.manifests.length === 0) {
    throw new PodwrightError('E_INVALID', 'read OCI layout: no images in index.json');
  }
  checkCounts(top.manifests.length, top.manifests.length);
  // Several platforms of one name at the top are one image; several names are several images.
  const byName = Map.groupBy(top.manifests, (each) => layoutName(each) ?? '');
  const images: IncomingImage[] = [];
  for (const [name, descriptors] of byName) {
    const label = options.name ?? (name === '' ? 'in the OCI layout' : shortened(name));
    const names = namesOf(options.name ?? (isFullName(name) ? name : undefined));
    const context = { label, names, platform: options.platform };
    const isEach = name === '' && descriptors.every((each) => each.platform === undefined);
    const groups = isEach ? descriptors.map((each) => [each]) : [descriptors];
    for (const group of groups) images.push(await readLayoutImage(parts, group, context));
  }
  return images;
}

interface LayoutContext {
  readonly label: string;
  readonly names: readonly string[];
  readonly platform: Platform;
}

/** What one name of the index stands for. */
async function readLayoutImage(
  parts: ArchiveParts,
  descriptors: readonly Descriptor[],
  context: LayoutContext,
): Promise<IncomingImage> {
  const [only] = descriptors;
  const top =
    descriptors.length === 1 && only !== undefined && only.platform === undefined
      ? { bytes: await readBlob(parts, only), digest: only.digest }
      : { bytes: indexOf(descriptors), digest: '' };
  const documents: DocumentSource = {
    manifest: async (descriptor) => ({ bytes: await readBlob(parts, descriptor), digest: descriptor.digest }),
    config: (descriptor) => readBlob(parts, descriptor),
  };
  const { label, platform: machine } = context;
  const { manifest, layers, config, isNamed } = await chooseImage(top, documents, { label, machine });
  return {
    label,
    source: archiveSource,
    config,
    isNamed,
    manifest,
    names: context.names,
    digests: context.names.map((name) => `${repositoryOf(parseReference(name))}@${manifest.digest}`),
    layers: await Promise.all(
      layers.map(async (layer) => stagedLayer(parts, blobPart(layer.digest), layer.digest)),
    ),
  };
}

/** Of the layout's own index, the part that one name stands for. */
function indexOf(descriptors: readonly Descriptor[]): Buffer {
  const manifests = descriptors.map(({ sizeBytes, ...descriptor }) => ({ ...descriptor, size: sizeBytes }));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }));
}

async function readDockerImage(
  parts: ArchiveParts,
  image: DockerArchiveImage,
  name: string | undefined,
): Promise<IncomingImage> {
  const names = name === undefined ? image.repoTags.flatMap(namesOf) : namesOf(name);
  return {
    label: names[0] ?? shortened(image.config),
    source: archiveSource,
    config: await readPart(parts, normalise(image.config)),
    isNamed: false,
    manifest: undefined,
    names,
    digests: [],
    layers: await Promise.all(
      image.layers.map(async (path) => stagedLayer(parts, normalise(path), undefined)),
    ),
  };
}

async function stagedLayer(
  parts: ArchiveParts,
  part: string,
  digest: string | undefined,
): Promise<IncomingLayer> {
  const found = await parts.find(part);
  if (found === undefined) throw missing(part);
  const { path, sizeBytes } = found;
  return {
    digest,
    sizeBytes,
    fetch: async () => ({ path, [Symbol.asyncDispose]: async () => undefined }),
  };
}

async function readBlob(parts: ArchiveParts, descriptor: Descriptor): Promise<Buffer> {
  const { digest } = descriptor;
  const part = blobPart(digest);
  const bytes = await readPart(parts, part);
  if (isDigestOf(digest, bytes)) return bytes;
  const found = digestOf(bytes, algorithmOf(digest));
  throw new PodwrightError('E_INVALID', `read image archive: ${part} has the digest ${found}`, {
    detail: { reason: 'digest' },
  });
}

/** As an image layout names it (image-layout.md). */
function blobPart(digest: string): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

async function readPart(parts: ArchiveParts, part: string): Promise<Buffer> {
  const bytes = await parts.read(part);
  if (bytes === undefined) throw missing(part);
  return bytes;
}

/** What is asked of the files of one archive: undefined where there is no such file. */
interface ArchiveParts {
  find(part: string): Promise<{ readonly path: string; readonly sizeBytes: number } | undefined>;
  /** A document. Several images may name the same one: each time it counts. @throws E_LIMIT */
  read(part: string): Promise<Buffer | undefined>;
}

function partsOf(files: ArchiveFiles): ArchiveParts {
  let documentsBytes = 0;
  const find: ArchiveParts['find'] = async (part) => {
    const path = files.locate(part);
    const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
    // Whatever else lies in a directory (a FIFO) might be read without end.
    return path === undefined || found?.isFile() !== true ? undefined : { path, sizeBytes: found.size };
  };
  return {
    find,
    read: async (part) => {
      const found = await find(part);
      if (found === undefined) return undefined;
      if (found.sizeBytes > documentBytesMax)
        throw tooLarge(`${shortened(part)} is larger than ${documentBytesMax} bytes`);
      documentsBytes += found.sizeBytes;
      if (documentsBytes > archiveLimits.documentsBytesMax)
        throw tooLarge(`documents of more than ${archiveLimits.documentsBytesMax} bytes`);
      return readFile(found.path);
    },
  };
}

/** The name that tools write into a layout's index; containerd's is always whole. */
function layoutName(descriptor: Descriptor): string | undefined {
  return (
    descriptor.annotations['io.containerd.image.name'] ??
    descriptor.annotations['org.opencontainers.image.ref.name']
  );
}

/** `org.opencontainers.image.ref.name` may be a bare tag (skopeo), which names nothing by itself. */
function isFullName(name: string): boolean {
  return /[/:]/.test(name);
}

function namesOf(name: string | undefined): readonly string[] {
  if (name === undefined) return [];
  try {
    return [formatReference(parseReference(name))];
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID'))
      throw new PodwrightError('E_INVALID', `name image: ${error.message}`);
    throw error;
  }
}

function missing(part: string): PodwrightError {
  return new PodwrightError('E_INVALID', `read image archive: ${shortened(part)} is missing (cut short?)`);
}

function tooLarge(why: string): PodwrightError {
  return new PodwrightError('E_LIMIT', `read image archive: ${why}`);
}
