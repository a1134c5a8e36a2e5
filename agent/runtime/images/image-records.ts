import { existsSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { writeImageFile } from './blob-store.ts';

/** What the store knows of an image beyond the port's record. */
export interface StoredImage extends ImageRecord {
  readonly layerIds: readonly string[]; // bottom first; the names of their directories
  readonly manifests: readonly string[]; // digests of manifests in the blob store
}

const version = 1;

/**
 * The images of a node, one small document with a checksum, and a copy of it: what was imported can be had from nowhere else.
 * `damage`: what is wrong with the document; with both damaged there are no images.
 * @throws E_UNSUPPORTED when a newer version wrote it
 */
export async function readImageRecords(
  path: string,
): Promise<{ readonly images: readonly StoredImage[]; readonly damage: string | undefined }> {
  const found = await readDocument(path);
  if (typeof found !== 'string') return { images: found, damage: undefined };
  const copy = await readDocument(copyOf(path));
  if (typeof copy !== 'string') {
    return { images: copy, damage: `${path} is ${found}; what ${copyOf(path)} says is taken` };
  }
  if (found === 'missing' && copy === 'missing') return { images: [], damage: undefined };
  const damage = `${path} and its copy are damaged; they are kept as ${path}.damaged, and images have to be pulled or imported anew`;
  return { images: [], damage };
}

/** After damage: the damaged document is set aside, and what was read is written anew. */
export async function repairImageRecords(path: string, images: readonly StoredImage[]): Promise<void> {
  if (existsSync(path)) await rename(path, `${path}.damaged`);
  await writeImageRecords(path, images);
}

const copyOf = (path: string): string => `${path}.copy`;

async function readDocument(path: string): Promise<readonly StoredImage[] | 'missing' | 'damaged'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'missing';
    throw error;
  }
  const { version: found, sum, images } = parsed(text);
  // Documents of releases before have no sum.
  if (sum !== undefined && sum !== sumOf(found, images)) return 'damaged';
  if (typeof found !== 'number') return 'damaged';
  if (found !== version) {
    throw new PodwrightError('E_UNSUPPORTED', `read ${path}: version ${found} is not known`);
  }
  return Array.isArray(images) ? images.map(upgraded) : 'damaged';
}

/** Releases before called them by their diffIds. */
function upgraded(image: StoredImage & { readonly diffIds?: readonly string[] }): StoredImage {
  const { diffIds, ...rest } = image;
  return diffIds === undefined ? rest : { ...rest, layerIds: diffIds };
}

interface ImageDocument {
  readonly version: number;
  readonly sum: number;
  readonly images: readonly StoredImage[];
}

function parsed(text: string): Partial<ImageDocument> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {}; // Without a version it is damaged.
  }
}

function sumOf(...content: readonly unknown[]): number {
  return crc32(JSON.stringify(content));
}

export async function writeImageRecords(path: string, images: readonly StoredImage[]): Promise<void> {
  const text = `${JSON.stringify({ version, sum: sumOf(version, images), images }, undefined, 1)}\n`;
  await writeImageFile(path, text);
  await writeImageFile(copyOf(path), text);
}

/**
 * The records after `added` came in: an image that was there gains names and digests, and a name that pointed elsewhere
 * moves (its old image stays, by id, until it is collected).
 */
export function mergeImages(
  images: readonly StoredImage[],
  added: readonly StoredImage[],
): readonly StoredImage[] {
  let merged = images;
  for (const image of added) {
    const known = merged.find((each) => each.id === image.id);
    const moved = merged
      .filter((each) => each.id !== image.id)
      .map((each) => ({ ...each, names: each.names.filter((name) => !image.names.includes(name)) }));
    merged = [
      ...moved,
      {
        ...image,
        names: union(known?.names, image.names),
        digests: union(known?.digests, image.digests),
        manifests: union(known?.manifests, image.manifests),
      },
    ];
  }
  return merged;
}

function union(a: readonly string[] | undefined, b: readonly string[]): readonly string[] {
  return [...new Set([...(a ?? []), ...b])];
}

export interface GarbageRequest {
  readonly images: readonly StoredImage[];
  /** Layers that containers use, whether or not their image is still recorded. */
  readonly pinnedLayers: ReadonlySet<string>; // ids, as those that are present
  readonly presentLayers: readonly string[];
  readonly presentBlobs: readonly string[]; // digests
}

/** What nothing reaches any more. Pure. */
export function planGarbage(request: GarbageRequest): {
  readonly layers: readonly string[];
  readonly blobs: readonly string[];
} {
  const layers = new Set([...request.pinnedLayers, ...request.images.flatMap((image) => image.layerIds)]);
  const blobs = new Set(request.images.flatMap((image) => [image.id, ...image.manifests]));
  return {
    layers: request.presentLayers.filter((layer) => !layers.has(layer)),
    blobs: request.presentBlobs.filter((blob) => !blobs.has(blob)),
  };
}
