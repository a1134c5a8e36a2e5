import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { algorithmOf, digestAlgorithms, digestOfHex, hexOf, type DigestAlgorithm } from '#api/oci/digest.ts';
import { isDraft, removeDrafts, writeDurably } from '#base/durable-file.ts';
import { PodwrightError } from '#base/errors.ts';
import { imageError } from './image-error.ts';

/** Of some bytes; `algorithm` where they are to be compared with a digest of another. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** Whether the bytes are those that a digest names. */
export function isDigestOf(digest: string, bytes: Uint8Array): boolean {
  return digestOf(bytes, algorithmOf(digest)) === digest;
}

/**
 * Documents of images (manifests, configs) by their digest, in DIRECTORY/ALGORITHM. A blob that is there is whole: it is written
 * beside, synced and renamed. Layers are not kept as blobs: their unpacked directory is their one copy.
 */
export class BlobStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Makes the directory, and removes what an interrupted write left. */
  async open(): Promise<void> {
    for (const algorithm of digestAlgorithms) {
      const directory = `${this.#directory}/${algorithm}`;
      await mkdir(directory, { recursive: true, mode: 0o700 });
      removeDrafts(directory);
      // Of releases before.
      for (const name of await readdir(directory))
        if (name.endsWith('.partial')) await rm(`${directory}/${name}`);
    }
  }

  /** @throws E_INVALID when the bytes are not what the digest names, E_NO_SPACE */
  async put(bytes: Uint8Array, digest: string = digestOf(bytes)): Promise<string> {
    if (!isDigestOf(digest, bytes)) {
      const found = digestOf(bytes, algorithmOf(digest));
      throw new PodwrightError('E_INVALID', `store blob ${digest}: its digest is ${found}`, {
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
    const listed = digestAlgorithms.map((each) => readdir(`${this.#directory}/${each}`));
    const names = (await Promise.all(listed)).flat();
    return names.filter((name) => !isDraft(name)).map(digestOfHex);
  }

  async remove(digest: string): Promise<void> {
    await rm(this.#path(digest), { force: true });
  }

  #path(digest: string): string {
    return `${this.#directory}/${algorithmOf(digest)}/${hexOf(digest)}`;
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
