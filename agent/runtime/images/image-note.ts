/** What an image of ours became the last time it was made on this machine: a file beside our programs, of no node's. */
import { readFile } from 'node:fs/promises';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf } from '#base/errors.ts';
import type { StoredImage } from './image-records.ts';

interface ImageNote {
  readonly key: string;
  readonly image: StoredImage;
}

/** Undefined: nobody knows what it will be for this key. */
export async function readImageNote(file: string, key: string): Promise<StoredImage | undefined> {
  try {
    const note = JSON.parse(await readFile(file, 'utf8')) as Partial<ImageNote> | null;
    return note?.key === key && isWhole(note.image) ? note.image : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isWhole(image: Partial<StoredImage> = {}): image is StoredImage {
  const { id, names, digests, layerIds, manifests } = image;
  return typeof id === 'string' && [names, digests, layerIds, manifests].every((list) => Array.isArray(list));
}

/** @throws the kernel's own errors */
export async function writeImageNote(file: string, key: string, image: StoredImage): Promise<void> {
  const note: ImageNote = { key, image };
  await writeDurably(file, `${JSON.stringify(note)}\n`, { mode: 0o644, survives: 'kill' });
}
