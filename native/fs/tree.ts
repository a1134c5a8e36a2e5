/**
 * The port for trees of files that others write into: every step starts at the descriptor of a directory and takes one name.
 * Nobody can lead it elsewhere by swapping a directory for a link or by a mount, and no path is too long for it.
 *
 * Names are bytes, never empty, `.`, `..` or with a slash (E_INVALID). The calls are synchronous, a microsecond or two each; `walkTree` gives the event loop back in between.
 */

import { PodwrightError } from '#base/errors.ts';

export type EntryType = 'file' | 'directory' | 'link' | 'other'; // other: FIFO, socket, device

export interface Entry {
  readonly name: Buffer;
  readonly type: EntryType;
  readonly inode: bigint;
  /** Where reading goes on after this one: for `read`. */
  readonly next: bigint;
}

export interface EntryStat {
  readonly type: EntryType;
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly sizeBytes: number;
  /** What it takes on disk. */
  readonly usedBytes: number;
  readonly inode: bigint;
  readonly device: bigint;
}

/** A directory that is held open. Errors are PodwrightErrors with `detail.errno`. */
export interface TreeDirectory extends Disposable {
  /** For calls of one's own, as long as it is open. -1 in the fake. */
  readonly fd: number;
  stat(): EntryStat;
  /** Of an entry, links not followed; undefined when it is not there. */
  statOf(name: Buffer): EntryStat | undefined;
  /** The next entries from a position, in the file system's order, 0n first; none at the end. */
  read(from: bigint): readonly Entry[];
  /** @throws errno ENOTDIR, ELOOP when it is no directory (any more), EXDEV when something is mounted on it, ENOENT */
  openDirectory(name: Buffer): TreeDirectory;
  /** The directory that it is in now. */
  openParent(): TreeDirectory;
  /** Links themselves. @throws errno ENOENT */
  changeOwner(name: Buffer, owner: { readonly uid: number; readonly gid: number }): void;
  readLink(name: Buffer): Buffer;
  /**
   * Removes what is no directory, also where it or this directory is immutable or append-only. What takes a disk long is done off the
   * event loop; `type`, as it was read: what is no file takes none. @throws errno EBUSY when something is mounted on it, EISDIR, ENOENT
   */
  removeFile(name: Buffer, type?: EntryType): void | Promise<void>;
  /** Whether it was an empty directory that nothing speaks for, and went. */
  removeEmpty(name: Buffer): boolean;
  /** As above. @throws errno ENOTEMPTY, EBUSY, ENOTDIR, ENOENT */
  removeDirectory(name: Buffer): void;
  /** Detaches the topmost mount on an entry. Whether there was one. */
  unmount(name: Buffer): boolean;
  /** Closes it off the event loop: with the last descriptor of a directory that was removed its inode goes, which waits for the disk's journal. */
  closeRemoved(): Promise<void>;
}

/** Names one component and nothing else. @throws E_INVALID */
export function checkedName(name: Buffer): Buffer {
  const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
  if (name.length > 0 && !isDots && !name.includes(0x2f) && !name.includes(0)) return name;
  throw new PodwrightError(
    'E_INVALID',
    `use ${JSON.stringify(name.toString())} as a name: it names no entry`,
  );
}

export interface Trees {
  /** Opens a directory by a path that nobody but root can change; links in it are followed. @throws errno ENOENT, ENOTDIR */
  open(path: string): TreeDirectory;
}
