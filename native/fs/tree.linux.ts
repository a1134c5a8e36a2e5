import { close, constants } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { errnoOf } from '#base/errors.ts';
import {
  chownAt,
  clearAttributes,
  isRemovedAt,
  openBeneathFd,
  openDirectoryFd,
  readEntries,
  readLinkAt,
  statAt,
  unlinkAt,
  unmountAt,
  type StatAt,
} from '#native/sys/at.ts';
import * as sys from '#native/sys/constants.ts';
import { fromNodeError } from '#native/sys/errno.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import {
  checkedName,
  type Entry,
  type EntryStat,
  type EntryType,
  type TreeDirectory,
  type Trees,
} from './tree.ts';

const directoryFlags = sys.O_RDONLY | sys.O_NONBLOCK | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const oneStep = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_MAGICLINKS;
/** Larger ones go in libuv's pool: freeing their blocks takes a disk milliseconds. In units of 512 bytes. */
const blocksOnLoopMax = 8192; // 4 MiB

/** The port over openat2(2) (since 5.6), getdents64(2), unlinkat(2). */
export function createTrees(): Trees {
  return { open: (path) => new LinuxDirectory(openDirectoryFd(path)) };
}

const noName = Buffer.alloc(0);
const parentName = Buffer.from('..');

class LinuxDirectory implements TreeDirectory {
  readonly #fd: OwnedFd;
  /** Where the descriptor stands: a read that goes on from there needs no seek. */
  #position = 0n;

  constructor(fd: OwnedFd) {
    this.#fd = fd;
  }

  get fd(): number {
    return this.#fd.fd;
  }

  stat(): EntryStat {
    const found = statAt(this.fd, noName);
    if (found === undefined) throw new TypeError('a directory that is open can be asked for');
    return entryStat(found);
  }

  statOf(name: Buffer): EntryStat | undefined {
    const found = statAt(this.fd, checkedName(name));
    return found === undefined ? undefined : entryStat(found);
  }

  read(from: bigint): readonly Entry[] {
    const entries = readEntries(this.fd, from === this.#position ? undefined : from) ?? [];
    this.#position = entries.at(-1)?.next ?? -1n;
    return entries.map(({ name, type, inode, next }) => ({
      name,
      type: this.#typeOf(name, type),
      inode,
      next,
    }));
  }

  #typeOf(name: Buffer, type: number): EntryType {
    if (type === sys.DT_DIR) return 'directory';
    if (type === sys.DT_REG) return 'file';
    if (type === sys.DT_LNK) return 'link';
    return type === sys.DT_UNKNOWN ? (this.statOf(name)?.type ?? 'other') : 'other';
  }

  openDirectory(name: Buffer): TreeDirectory {
    const resolve = oneStep | sys.RESOLVE_NO_XDEV;
    return new LinuxDirectory(openBeneathFd(this.fd, checkedName(name), { flags: directoryFlags, resolve }));
  }

  openParent(): TreeDirectory {
    const resolve = sys.RESOLVE_NO_XDEV; // Beneath it is not; walkTree compares what it gets with what it left.
    return new LinuxDirectory(openBeneathFd(this.fd, parentName, { flags: directoryFlags, resolve }));
  }

  changeOwner(name: Buffer, owner: { readonly uid: number; readonly gid: number }): void {
    chownAt(this.fd, checkedName(name), owner);
  }

  readLink(name: Buffer): Buffer {
    return readLinkAt(this.fd, checkedName(name));
  }

  removeFile(name: Buffer, type: EntryType = 'file'): void | Promise<void> {
    checkedName(name);
    const found = type === 'file' ? statAt(this.fd, name) : undefined;
    if (found !== undefined && found.blocks > blocksOnLoopMax && found.links === 1) {
      return this.#removeLargeFile(name);
    }
    this.#remove(name, 'file');
    return undefined;
  }

  async #removeLargeFile(name: Buffer): Promise<void> {
    try {
      await unlink(Buffer.concat([Buffer.from(`/proc/self/fd/${this.fd}/`), name]));
    } catch (error) {
      if (errnoOf(error) !== 'EPERM') throw fromNodeError(error, `remove ${JSON.stringify(name.toString())}`);
      this.#remove(name, 'file');
    }
  }

  removeEmpty(name: Buffer): boolean {
    return isRemovedAt(this.fd, checkedName(name));
  }

  removeDirectory(name: Buffer): void {
    this.#remove(checkedName(name), 'directory');
  }

  #remove(name: Buffer, kind: 'file' | 'directory'): void {
    try {
      unlinkAt(this.fd, name, kind);
    } catch (error) {
      if (errnoOf(error) !== 'EPERM') throw error;
      this.#removeProtected(name, kind);
    }
  }

  /** EPERM is the answer for an immutable or append-only entry, and for one in such a directory. */
  #removeProtected(name: Buffer, kind: 'file' | 'directory'): void {
    using _directory = clearAttributes(this.fd, noName);
    using cleared = clearAttributes(this.fd, name);

    const links = statAt(this.fd, name)?.links ?? 1;
    unlinkAt(this.fd, name, kind);
    // Its other names may be somebody else's.
    if (kind === 'file' && links > 1) cleared?.restore();
  }

  unmount(name: Buffer): boolean {
    return unmountAt(this.fd, checkedName(name));
  }

  closeRemoved(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    close(this.#fd.takeFd(), () => resolve()); // Whatever close(2) says, it has closed it.
    return promise;
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]();
  }
}

function entryStat({ mode, blocks, mountId: _mount, ...rest }: StatAt): EntryStat {
  return { type: typeOfMode(mode), mode: mode & 0o7777, usedBytes: blocks * 512, ...rest };
}

function typeOfMode(mode: number): EntryType {
  switch (mode & sys.S_IFMT) {
    case sys.S_IFDIR:
      return 'directory';
    case sys.S_IFREG:
      return 'file';
    case sys.S_IFLNK:
      return 'link';
    default:
      return 'other';
  }
}
