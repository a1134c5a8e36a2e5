import { lstat } from 'node:fs/promises';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import { createTrees } from '#native/fs/tree.linux.ts';
import { type Place, walkTree } from '#native/fs/walk-tree.ts';

/** Disk blocks, and the files and directories that have them. */
export interface DiskUse {
  readonly bytes: number;
  readonly inodes: number;
}

/**
 * Disk blocks below a directory; stops counting once it is more than `enough`. Of other file systems mounted there, nothing. By
 * descriptors, since containers write there: nothing leads the count elsewhere or keeps the agent busy. A file counts once.
 */
export async function usedBelow(directory: string, enough: number): Promise<DiskUse> {
  let bytes = 0;
  let inodes = 0;
  const counted = new Set<bigint>();
  const count = ({ directory: parent, entry }: Place): void => {
    const found = parent.statOf(entry.name);
    if (found === undefined || counted.has(found.inode)) return;
    if (found.links > 1 && found.type !== 'directory' && counted.size < linksMax) counted.add(found.inode);
    bytes += found.usedBytes;
    inodes += 1;
    if (bytes > enough) throw new CountedEnough();
  };
  const enter = (place: Place): boolean => {
    count(place);
    return true;
  };
  try {
    // The pod's /etc/hosts and its like; what a container made of it is still one file.
    const itself = await lstat(directory);
    if (!itself.isDirectory()) return { bytes: itself.blocks * blockBytes, inodes: 1 };
    using root = createTrees().open(directory);

    await walkTree(root, { visit: count, enter });
  } catch (error) {
    // What is removed meanwhile is not used any more; of what is moved away meanwhile, what was seen counts.
    const isMoved = isPodwrightError(error, 'E_CONFLICT');
    if (errnoOf(error) !== 'ENOENT' && !isMoved && !(error instanceof CountedEnough)) throw error;
  }
  return { bytes, inodes };
}

/** Unit of st_blocks, stat(2). */
const blockBytes = 512;

class CountedEnough extends Error {}

/** Files of several names that are remembered; more of them count by each name, which is their maker's loss. */
const linksMax = 65_536;
