import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, PodwrightError } from '#base/errors.ts';

/** Sockets of a tree, and its directories. */
export interface FoundSockets {
  /** By path: device, inode and time of making, as numbers of inodes are used again. */
  readonly identities: ReadonlyMap<string, string>;
  readonly directories: readonly string[];
}

/** Entries of a tree, and directories within directories. */
const entriesMax = 4096;
const depthMax = 8;

/** Names that begin with a dot are nobody's; no place, no sockets. @throws {E_LIMIT}; what readdir(3) says of the place itself */
export async function findSockets(root: string): Promise<FoundSockets> {
  const identities = new Map<string, string>();
  const directories: string[] = [];
  let entries = 0;
  const walk = async (directory: string, depth: number): Promise<void> => {
    if (depth > depthMax) throw new PodwrightError('E_LIMIT', `read ${directory}: deeper than ${depthMax}`);
    const listed = await entriesOf(directory, directory === root);
    if (listed === undefined) return;
    directories.push(directory);
    entries += listed.length;
    if (entries > entriesMax)
      throw new PodwrightError('E_LIMIT', `read ${root}: more than ${entriesMax} entries`);
    for (const entry of listed.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(directory, entry.name);
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) await walk(path, depth + 1);
      const identity = entry.isSocket() ? await identityOf(path) : undefined;
      if (identity !== undefined) identities.set(path, identity);
    }
  };
  await walk(root, 0);
  return { identities, directories };
}

/** Undefined: it has gone meanwhile. Of directories within, one that cannot be read is nobody's either. */
async function entriesOf(directory: string, isRoot: boolean): Promise<readonly Dirent[] | undefined> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isRoot && errnoOf(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

async function identityOf(path: string): Promise<string | undefined> {
  try {
    const stat = await lstat(path, { bigint: true });
    return stat.isSocket() ? `${stat.dev}:${stat.ino}:${stat.mtimeNs}` : undefined;
  } catch {
    return undefined; // It has gone meanwhile.
  }
}
