import { chmodSync, closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync } from 'node:fs';
import { errnoOf } from '#base/errors.ts';
import * as sys from '#native/sys/constants.ts';
import { createTrees } from './tree.linux.ts';
import type { TreeDirectory } from './tree.ts';
import { walkTree, type WalkOptions } from './walk-tree.ts';

export interface GroupOptions extends WalkOptions {
  readonly gid: number;
  /** Only where the directory itself is not as it should be (fsGroupChangePolicy OnRootMismatch). */
  readonly onRootMismatch?: boolean;
}

const filePermissions = 0o660;
/** New files have the directory's group by the set-group-id bit (inode(7)). */
const directoryPermissions = 0o2770;

/**
 * Gives a directory with all that is in it to a group, which may read and write it from then on (SetVolumeOwnership of
 * kubernetes pkg/volume). Others may write there meanwhile: links are never followed, mounts never entered. The directory itself comes
 * last, so that one that is as it should be was done to its end. How many entries were looked at.
 *
 * @throws the kernel's errors
 */
export async function giveGroup(
  path: string,
  { gid, onRootMismatch, ...walk }: GroupOptions,
): Promise<number> {
  using root = createTrees().open(path);

  const { gid: now, mode } = root.stat();
  if (onRootMismatch === true && now === gid && (mode & directoryPermissions) === directoryPermissions)
    return 0;
  let count = 1;
  const give = (directory: TreeDirectory, name: Buffer): void => {
    count++;
    giveEntry(directory, name, gid);
  };
  await walkTree(
    root,
    {
      visit: ({ directory, entry }) => give(directory, entry.name),
      leave: ({ directory, entry }) => {
        give(directory, entry.name);
        return 'done';
      },
    },
    walk,
  );
  // By itself: above may be another mount, which no way leads to.
  giveSelf(root, gid);
  return count;
}

function giveSelf({ fd }: TreeDirectory, gid: number): void {
  const before = fstatSync(fd);
  if (before.gid !== gid) fchownSync(fd, before.uid, gid);
  const mode = fstatSync(fd).mode & 0o7777;
  if ((mode | directoryPermissions) !== mode) fchmodSync(fd, mode | directoryPermissions);
}

/** One entry, held by a descriptor (O_PATH), so that what is looked at is what is changed. */
function giveEntry(directory: TreeDirectory, name: Buffer, gid: number): void {
  let fd: number;
  try {
    fd = openSync(
      Buffer.concat([Buffer.from(`/proc/self/fd/${directory.fd}/`), name]),
      sys.O_PATH | constants.O_NOFOLLOW,
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    const before = fstatSync(fd);
    if (before.gid !== gid) directory.changeOwner(name, { uid: before.uid, gid });
    if (before.isSymbolicLink()) return;
    const { mode, ino } = fstatSync(fd);
    // Swapped in between: what came instead is its maker's.
    if (ino !== before.ino) return;
    const wanted = (mode & 0o7777) | (before.isDirectory() ? directoryPermissions : filePermissions);
    // After the owner, which takes the set-group-id bit.
    if (wanted !== (mode & 0o7777)) chmodSync(`/proc/self/fd/${fd}`, wanted);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  } finally {
    closeSync(fd);
  }
}
