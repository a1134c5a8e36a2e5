import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDraft, removeDrafts, writeDurably } from '#base/durable-file.ts';
import { PodwrightError } from '#base/errors.ts';
import { imageError } from './image-error.ts';

/** sha256:… of some bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: string): string {
  return digest.slice('sha256:'.length);
}

/**
 * Documents of images (manifests, configs) by their digest, in DIRECTORY/sha256. A blob that is there is whole: it is written
 * beside, synced and renamed. Layers are not kept as blobs: their unpacked directory is their one copy.
 */
export class BlobStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = `${directory}/sha256`;
  }

  /** Makes the directory, and removes what an interrupted write left. */
  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    removeDrafts(this.#directory);
    // Of releases before.
    for (const name of await readdir(this.#directory)) {
      if (name.endsWith('.partial')) await rm(`${this.#directory}/${name}`);
    }
  }

  /** @throws E_INVALID when the bytes are not what the digest names, E_NO_SPACE */
  async put(bytes: Uint8Array, digest: string = digestOf(bytes)): Promise<string> {
    if (digestOf(bytes) !== digest) {
      throw new PodwrightError('E_INVALID', `store blob ${digest}: its digest is ${digestOf(bytes)}`, {
        detail: { reason: 'digest' },
      });
    }
    await writeImageFile(this.#path(digest), bytes);
    return digest;
  }

  /** @throws E_NOT_FOUND */
  async read(digest: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(digest));
    } catch (cause) {
      throw new PodwrightError('E_NOT_FOUND', `read blob ${digest}`, { cause });
    }
  }

  async list(): Promise<readonly string[]> {
    const names = await readdir(this.#directory);
    return names.filter((name) => !isDraft(name)).map((name) => `sha256:${name}`);
  }

  async remove(digest: string): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  #path(digest: string): string {
    return `${this.#directory}/${hexOf(digest)}`;
  }
}

/** Replaces a file so that a crash leaves the old or the new one, whole. @throws E_NO_SPACE */
export async function writeImageFile(path: string, bytes: Uint8Array | string): Promise<void> {
  try {
    await writeDurably(path, bytes);
  } catch (error) {
    throw imageError(`write ${path}`, error, dirname(path));
  }
}
