/**
 * Files that are whole or not there, whenever the machine stops: the bytes go into a draft beside the file, the draft to the
 * disk, then the draft takes the file's name, and the name goes to the disk. Drafts are each writer's own, so that two writers
 * of one file never write into one another's; what a kill leaves of them is removed by `removeDrafts`.
 *
 * What only has to survive a kill of the process, as the kernel stays, says `survives: 'kill'` and spares the disk's time.
 */
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';

export interface DurableOptions {
  /** Permission bits. Default 0600. */
  readonly mode?: number;
  /** Default 'power cut'. */
  readonly survives?: 'power cut' | 'kill';
}

const draftName = /^\..+\.\d+-\d+-\d+\.draft$/;
let draftsMade = 0;

/** A name beside the file that nobody else uses. */
function draftOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}-${threadId}-${++draftsMade}.draft`);
}

/** Replaces the file. After an error it is as it was. @throws the kernel's own errors */
export async function writeDurably(
  path: string,
  data: string | Uint8Array,
  options: DurableOptions = {},
): Promise<void> {
  const { mode = 0o600, survives = 'power cut' } = options;
  const draft = draftOf(path);
  try {
    await using file = await open(draft, 'wx', mode);

    if ((mode & 0o077) !== 0) await file.chmod(mode); // Whatever the umask takes away.
    await file.writeFile(data);
    if (survives === 'power cut') await file.sync();
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  if (survives === 'power cut') await syncDirectory(dirname(path));
}

/** The same, blocking: for starts and for programs that do one thing. */
export function writeDurablySync(
  path: string,
  data: string | Uint8Array,
  options: DurableOptions = {},
): void {
  const { mode = 0o600, survives = 'power cut' } = options;
  const draft = draftOf(path);
  try {
    const file = openSync(draft, 'wx', mode);
    try {
      if ((mode & 0o077) !== 0) fchmodSync(file, mode);
      writeFileSync(file, data);
      if (survives === 'power cut') fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  if (survives === 'power cut') syncDirectorySync(dirname(path));
}

/** Names that were made, removed or moved in the directory are on the disk. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');

  await directory.sync();
}

export function syncDirectorySync(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Removes what writers that were killed left; for who alone writes in the directory, before the first write. */
export function removeDrafts(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (draftName.test(name)) rmSync(join(directory, name), { force: true });
  }
}

/** Whether a name in a directory is a draft: no reader of the directory takes it for a file. */
export function isDraft(name: string): boolean {
  return draftName.test(name);
}
