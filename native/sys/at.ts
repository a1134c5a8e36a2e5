/**
 * Calls that begin at the descriptor of a directory. A name is bytes, as the kernel has it: not every name is UTF-8, and no
 * path is ever longer than one component, so that none is too long (PATH_MAX).
 */
import { constants as nodeConstants } from 'node:fs';
import {
  AT_EMPTY_PATH,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  MNT_DETACH,
  O_CLOEXEC,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  STATX_BASIC_STATS,
  STATX_MNT_ID,
  SYS_openat2,
  UMOUNT_NOFOLLOW,
} from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { openFd, OwnedFd } from './fd.ts';
import * as libc from './libc.ts';

const { O_DIRECTORY, O_NOFOLLOW } = nodeConstants; // Their values differ between architectures.
const ENOENT = 2;
const EINVAL = 22;
/** An errno that a file system without such attributes answers (ENOTTY, EOPNOTSUPP, ENOSYS). */
const withoutAttributes: ReadonlySet<number> = new Set([25, 95, 38]);
const SEEK_SET = 0;

/** struct open_how (linux/openat2.h) */
export const openHowLayout = { size: 24, flags: 0, mode: 8, resolve: 16 } as const;
/** struct statx (linux/stat.h), what of it is read. */
export const statxLayout = {
  size: 256,
  stx_mask: 0,
  stx_nlink: 16,
  stx_uid: 20,
  stx_gid: 24,
  stx_mode: 28,
  stx_ino: 32,
  stx_size: 40,
  stx_blocks: 48,
  stx_dev_major: 136,
  stx_dev_minor: 140,
  stx_mnt_id: 144,
} as const;
/** struct dirent64: its size is that of the longest name; d_reclen says how much there is. */
export const direntLayout = { size: 280, d_ino: 0, d_off: 8, d_reclen: 16, d_type: 18, d_name: 19 } as const;

const noName: Uint8Array = Buffer.alloc(0);

/** The bytes with the 0 that C wants at the end. A 0 within would cut the name short and so name another file. */
function cString(name: Uint8Array): Uint8Array {
  if (name.includes(0)) throw kernelError('use a name with a NUL byte', 'EINVAL');
  const text = Buffer.alloc(name.length + 1);
  text.set(name);
  return text;
}

const show = (name: Uint8Array): string => JSON.stringify(Buffer.from(name).toString());

export interface OpenAt {
  readonly flags: number; // O_*; O_CLOEXEC is added
  readonly resolve: number; // RESOLVE_*
  readonly mode?: number;
}

/** openat2(2). @throws E_KERNEL with errno EXDEV past a boundary, ELOOP at a link, ENOTDIR; E_NOT_FOUND */
export function openBeneathFd(directory: number, path: Uint8Array, open: OpenAt): OwnedFd {
  const how = Buffer.alloc(openHowLayout.size);
  how.writeBigUInt64LE(BigInt(open.flags | O_CLOEXEC), openHowLayout.flags);
  how.writeBigUInt64LE(BigInt(open.mode ?? 0), openHowLayout.mode);
  how.writeBigUInt64LE(BigInt(open.resolve), openHowLayout.resolve);
  const fd = libc.openat2(SYS_openat2, directory, cString(path), how, how.length);
  return new OwnedFd(checked(fd, () => `open ${show(path)}`));
}

/** open(2) of a directory by its path, which is the caller's to trust. */
export function openDirectoryFd(path: string): OwnedFd {
  return openFd(path, O_RDONLY | O_DIRECTORY);
}

export interface StatAt {
  readonly mode: number; // type and permission bits
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly sizeBytes: number;
  /** What it takes on disk, in units of 512 bytes. */
  readonly blocks: number;
  readonly inode: bigint;
  readonly device: bigint; // major << 32 | minor
  /** Of the mount that it is seen through; 0n before 5.8. */
  readonly mountId: bigint;
}

/** statx(2), links not followed; of the directory itself where the name is empty. undefined when it is not there. */
export function statAt(directory: number, name: Uint8Array): StatAt | undefined {
  const buffer = Buffer.alloc(statxLayout.size);
  const flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
  const mask = STATX_BASIC_STATS | STATX_MNT_ID;
  if (libc.statx(directory, cString(name), flags, mask, buffer) < 0) {
    const errno = libc.lastErrno();
    if (errno === ENOENT) return undefined;
    throw kernelError(`stat ${show(name)}`, errno);
  }
  const at = statxLayout;
  const hasMountId = (buffer.readUInt32LE(at.stx_mask) & STATX_MNT_ID) !== 0;
  return {
    mode: buffer.readUInt16LE(at.stx_mode),
    uid: buffer.readUInt32LE(at.stx_uid),
    gid: buffer.readUInt32LE(at.stx_gid),
    links: buffer.readUInt32LE(at.stx_nlink),
    sizeBytes: Number(buffer.readBigUInt64LE(at.stx_size)),
    blocks: Number(buffer.readBigUInt64LE(at.stx_blocks)),
    inode: buffer.readBigUInt64LE(at.stx_ino),
    device:
      (BigInt(buffer.readUInt32LE(at.stx_dev_major)) << 32n) | BigInt(buffer.readUInt32LE(at.stx_dev_minor)),
    mountId: hasMountId ? buffer.readBigUInt64LE(at.stx_mnt_id) : 0n,
  };
}

export interface Dirent {
  readonly name: Buffer;
  readonly type: number; // DT_*
  readonly inode: bigint;
  /** Where reading goes on after this entry. */
  readonly next: bigint;
}

const entriesBytes = 32_768;

/** getdents64(2): the next entries from a position (0n is the beginning), without `.` and `..`; undefined at the end. */
export function readEntries(directory: number, from: bigint | undefined): readonly Dirent[] | undefined {
  if (from !== undefined && Number(libc.lseek(directory, from, SEEK_SET)) < 0)
    throw kernelError('seek in directory', libc.lastErrno());
  const buffer = Buffer.allocUnsafe(entriesBytes);
  for (;;) {
    const length = checked(libc.getdents64(directory, buffer, buffer.length), 'read directory');
    if (length === 0) return undefined;
    const entries = parseEntries(buffer.subarray(0, length));
    if (entries.length > 0) return entries;
  }
}

function parseEntries(buffer: Buffer): readonly Dirent[] {
  const entries: Dirent[] = [];
  for (let at = 0; at < buffer.length;) {
    const length = buffer.readUInt16LE(at + direntLayout.d_reclen);
    const start = at + direntLayout.d_name;
    const name = buffer.subarray(start, buffer.indexOf(0, start));
    const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
    if (!isDots) {
      entries.push({
        name,
        type: buffer[at + direntLayout.d_type] ?? 0,
        inode: buffer.readBigUInt64LE(at + direntLayout.d_ino),
        next: buffer.readBigInt64LE(at + direntLayout.d_off),
      });
    }
    at += length;
  }
  return entries;
}

/** unlinkat(2). @throws E_BUSY at a mount point, E_PERMISSION at an immutable one, E_NOT_FOUND */
export function unlinkAt(directory: number, name: Uint8Array, kind: 'file' | 'directory'): void {
  const flags = kind === 'directory' ? AT_REMOVEDIR : 0;
  checked(libc.unlinkat(directory, cString(name), flags), () => `remove ${show(name)}`);
}

/** unlinkat(2) of a directory; whether it went: of one that did not the reason is not told, for which an error would be made. */
export function isRemovedAt(directory: number, name: Uint8Array): boolean {
  return libc.unlinkat(directory, cString(name), AT_REMOVEDIR) === 0;
}

/** fchownat(2), of a link itself. */
export function chownAt(
  directory: number,
  name: Uint8Array,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): void {
  const result = libc.fchownat(directory, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW);
  checked(result, () => `change owner of ${show(name)}`);
}

/** readlinkat(2) */
export function readLinkAt(directory: number, name: Uint8Array): Buffer {
  const target = Buffer.alloc(4096);
  const length = libc.readlinkat(directory, cString(name), target, target.length);
  return target.subarray(
    0,
    checked(length, () => `read link ${show(name)}`),
  );
}

/**
 * umount2(2) with MNT_DETACH of the topmost mount on a name: the directory is reached by its descriptor, so that no
 * component of a path can be swapped on the way. Whether there was one.
 */
export function unmountAt(directory: number, name: Uint8Array): boolean {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name]);
  if (libc.umount2Bytes(cString(path), MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return true;
  const errno = libc.lastErrno();
  if (errno === EINVAL || errno === ENOENT) return false;
  throw kernelError(`unmount ${show(name)}`, errno);
}

/** Attributes that were taken off, for as long as it is open. */
export interface ClearedAttributes extends Disposable {
  /** Puts them back. */
  restore(): void;
}

/**
 * Takes the attributes "immutable" and "append only" off a file or directory (the name empty: the directory itself);
 * undefined when it had none. Only regular files and directories are opened: opening a FIFO waits, a device acts.
 */
export function clearAttributes(directory: number, name: Uint8Array): ClearedAttributes | undefined {
  using found = openBeneathFd(directory, name.length === 0 ? Buffer.from('.') : name, {
    flags: O_PATH | O_NOFOLLOW,
    resolve: 0,
  });
  const type = (statAt(found.fd, noName)?.mode ?? 0) & S_IFMT;
  if (type !== S_IFREG && type !== S_IFDIR) return undefined;
  using file = openFd(`/proc/self/fd/${found.fd}`, O_RDONLY | O_NONBLOCK);

  const had = readFlags(file.fd, name);
  const wanted = had & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  if (wanted === had) return undefined;
  writeFlags(file.fd, wanted, name);
  const kept = new OwnedFd(file.takeFd());
  return {
    restore: () => writeFlags(kept.fd, had, name),
    [Symbol.dispose]: () => kept[Symbol.dispose](),
  };
}

/** 0 where the file system has no such attributes. */
function readFlags(fd: number, name: Uint8Array): number {
  const value = Buffer.alloc(8); // The kernel writes an int, where the number of the ioctl says long.
  if (libc.ioctl(fd, FS_IOC_GETFLAGS, value) === 0) return value.readUInt32LE(0);
  const errno = libc.lastErrno();
  if (withoutAttributes.has(errno)) return 0;
  throw kernelError(`read attributes of ${show(name)}`, errno);
}

function writeFlags(fd: number, flags: number, name: Uint8Array): void {
  const value = Buffer.alloc(8);
  value.writeUInt32LE(flags >>> 0, 0);
  checked(libc.ioctl(fd, FS_IOC_SETFLAGS, value), () => `write attributes of ${show(name)}`);
}
