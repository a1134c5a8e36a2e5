import { readFile } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { writeDurably } from './blob-store.ts';

/** What the store knows of an image beyond the port's record. */
export interface StoredImage extends ImageRecord {
  readonly diffIds: readonly string[]; // bottom first
  readonly manifests: readonly string[]; // digests of manifests in the blob store
}

const version = 1;

/** The images of a node, one small document. @throws E_UNSUPPORTED when a newer version wrote it */
export async function readImageRecords(path: string): Promise<readonly StoredImage[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  const document = JSON.parse(text) as { version: number; images: StoredImage[] }; // our own, written whole
  if (document.version !== version) {
    throw new PodwrightError('E_UNSUPPORTED', `read ${path}: version ${document.version} is not known`);
  }
  return document.images;
}

export async function writeImageRecords(path: string, images: readonly StoredImage[]): Promise<void> {
  await writeDurably(path, `${JSON.stringify({ version, images }, undefined, 1)}\n`);
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
  readonly pinnedDiffIds: ReadonlySet<string>;
  readonly presentLayers: readonly string[]; // diffIds
  readonly presentBlobs: readonly string[]; // digests
}

/** What nothing reaches any more. Pure. */
export function planGarbage(request: GarbageRequest): {
  readonly layers: readonly string[];
  readonly blobs: readonly string[];
} {
  const layers = new Set([...request.pinnedDiffIds, ...request.images.flatMap((image) => image.diffIds)]);
  const blobs = new Set(request.images.flatMap((image) => [image.id, ...image.manifests]));
  return {
    layers: request.presentLayers.filter((layer) => !layers.has(layer)),
    blobs: request.presentBlobs.filter((blob) => !blobs.has(blob)),
  };
}
