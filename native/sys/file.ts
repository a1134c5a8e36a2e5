/** What node:fs lacks. (It has lchown, statfs and lutimes; those bound in libc.ts are for callers that need errno at once.) */
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  LOCK_EX,
  LOCK_NB,
  O_CREAT,
  O_RDWR,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  TIOCSWINSZ,
} from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { openFd, type OwnedFd } from './fd.ts';
import {
  flock,
  ioctl,
  lastErrno,
  lchown,
  lgetxattr,
  llistxattr,
  lseek,
  lsetxattr,
  mknod,
  statfs,
  utimensat,
} from './libc.ts';

const EWOULDBLOCK = 11;
const ENODATA = 61;
const EOPNOTSUPP = 95;
const SEEK_END = 2; // unistd.h

export interface DeviceNode {
  readonly type: 'c' | 'b' | 'p'; // character, block, FIFO
  readonly major: number;
  readonly minor: number;
  readonly mode: number; // permission bits, before the umask
}

const fileTypeBits = { c: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

/** A path that is no text is given as bytes, which C wants to end with a zero. */
function pathArgument(path: string | Buffer): string | Buffer {
  return typeof path === 'string' ? path : Buffer.concat([path, Buffer.of(0)]);
}

/** makedev(3): 12 bits of major and 20 of minor, each in two pieces (sys/sysmacros.h). */
export function deviceNumber(major: number, minor: number): bigint {
  const [x, y] = [BigInt(major), BigInt(minor)];
  return ((x & 0xfff_ff000n) << 32n) | ((x & 0xfffn) << 8n) | ((y & 0xffff_ff00n) << 12n) | (y & 0xffn);
}

/** glibc's gnu_dev_major and gnu_dev_minor (makedev(3)). */
export function deviceOf(rdev: bigint): { readonly major: number; readonly minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return { major: Number(major), minor: Number(minor & 0xffff_ffffn) };
}

/** lseek(2), behind all that is there. @throws what the file's driver says */
export function seekToEnd(fd: number, what: string): void {
  if (Number(lseek(fd, 0n, SEEK_END)) < 0) throw kernelError(`seek to the end of ${what}`, lastErrno());
}

/** mknod(2). @throws E_EXISTS, E_PERMISSION */
export function makeNode(path: string | Buffer, node: DeviceNode): void {
  const device = node.type === 'p' ? 0n : deviceNumber(node.major, node.minor);
  checked(
    mknod(pathArgument(path), fileTypeBits[node.type] | node.mode, device),
    () => `make device node ${path}`,
  );
}

/** lchown(2) */
export function changeOwner(path: string, uid: number, gid: number): void {
  checked(lchown(path, uid, gid), () => `change owner of ${path}`);
}

/** lsetxattr(2). @throws E_UNSUPPORTED where the file system has no such attributes */
export function setXattr(path: string | Buffer, name: string, value: Uint8Array): void {
  checked(lsetxattr(pathArgument(path), name, value, value.length, 0), () => `set xattr ${name} of ${path}`);
}

/** Where a value is put before it is copied: most are a few bytes, and many are asked for. */
const attribute = Buffer.alloc(65_536);

/** lgetxattr(2), up to 64 KiB (XATTR_SIZE_MAX); undefined when the attribute is not there. */
export function getXattr(path: string | Buffer, name: string): Buffer | undefined {
  const length = lgetxattr(pathArgument(path), name, attribute, attribute.length);
  if (length >= 0) return Buffer.from(attribute.subarray(0, length));
  const errno = lastErrno();
  if (errno === ENODATA) return undefined;
  throw kernelError(`get xattr ${name} of ${path}`, errno);
}

/** llistxattr(2): the names of all attributes, none where the file system has no such. */
export function listXattrs(path: string | Buffer): readonly string[] {
  const list = Buffer.alloc(65_536); // XATTR_LIST_MAX
  const length = llistxattr(pathArgument(path), list, list.length);
  if (length >= 0) return list.toString('utf8', 0, length).split('\0').slice(0, -1);
  const errno = lastErrno();
  if (errno === EOPNOTSUPP) return [];
  throw kernelError(`list xattrs of ${path}`, errno);
}

/** utimensat(2) on the path itself, links not followed; nanoseconds since the epoch. */
export function setTimes(path: string | Buffer, atimeNs: bigint, mtimeNs: bigint): void {
  const times = Buffer.alloc(32); // struct timespec[2]: seconds, nanoseconds
  [atimeNs, mtimeNs].forEach((ns, index) => {
    const remainder = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    times.writeBigInt64LE((ns - remainder) / 1_000_000_000n, index * 16);
    times.writeBigInt64LE(remainder, index * 16 + 8);
  });
  checked(utimensat(AT_FDCWD, pathArgument(path), times, AT_SYMLINK_NOFOLLOW), () => `set times of ${path}`);
}

/** An exclusive flock(2) on the file (made if missing), held until disposed or the process ends. @throws E_BUSY */
export function lockFile(path: string): OwnedFd {
  const file = openFd(path, O_RDWR | O_CREAT, 0o600);
  if (flock(file.fd, LOCK_EX | LOCK_NB) === 0) return file;
  const errno = lastErrno();
  file[Symbol.dispose]();
  throw kernelError(`lock ${path}`, errno === EWOULDBLOCK ? 'EBUSY' : errno, {
    why: 'held by another process',
  });
}

/** f_type of statfs(2): CGROUP2_SUPER_MAGIC and the like. */
export function fileSystemMagic(path: string): number {
  const buffer = Buffer.alloc(120); // struct statfs of 64-bit Linux; f_type comes first
  checked(statfs(path, buffer), () => `statfs ${path}`);
  return Number(buffer.readBigInt64LE(0) & 0xffff_ffffn);
}

/** ioctl(TIOCSWINSZ) on the master or slave of a pty. */
export function setWindowSize(fd: number, columns: number, rows: number): void {
  const size = Buffer.alloc(8); // struct winsize: rows, columns, pixels, pixels
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  checked(ioctl(fd, TIOCSWINSZ, size), 'set window size');
}
