/**
 * The one place that knows koffi: libc functions by their C prototype, bound at their first call (binding all of them would
 * cost every start of a CNI plugin milliseconds). They return what C returns; `checked` in errno.ts turns -1 into an error.
 *
 * A prototype that is variadic in C (open, ioctl, prctl, syscall) is bound with fixed arguments: on Linux's x86-64 and arm64
 * calling conventions integers and pointers travel in the same registers either way.
 */
import koffi, { type LibraryHandle } from 'koffi';

let library: LibraryHandle | undefined;

function bind<F extends (...args: never[]) => unknown>(prototype: string): F {
  let bound: ((...args: unknown[]) => unknown) | undefined;
  const call = (...args: unknown[]): unknown => {
    library ??= koffi.load(null); // The process's own symbols: the libc that Node itself is linked with.
    bound ??= library.func(prototype);
    return bound(...args);
  };
  return call as unknown as F; // The prototype beside each use is the source of the type.
}

/** As `bind`, of a function without arguments that hold memory; it runs on a thread of koffi's. */
function bindAsync(prototype: string): (...args: readonly number[]) => Promise<number> {
  return (...args) => {
    library ??= koffi.load(null);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    library
      .func(prototype)
      .async(...args, (error: Error | null, result: number) =>
        error === null ? resolve(result) : reject(error),
      );
    return promise;
  };
}

/** errno of the last call on this thread; koffi keeps it across its own work. */
export const lastErrno = (): number => koffi.errno();

type Bytes = Uint8Array;
type Text = string | null;

/** socket(2) */
export const socket: (domain: number, type: number, protocol: number) => number = bind(
  'int socket(int domain, int type, int protocol)',
);
/** bind(2) */
export const bindSocket: (fd: number, address: Bytes, length: number) => number = bind(
  'int bind(int fd, const void *address, uint length)',
);
/** connect(2) */
export const connectSocket: (fd: number, address: Bytes, length: number) => number = bind(
  'int connect(int fd, const void *address, uint length)',
);

/** send(2); the length is a `long` that fits a number. */
export const send: (fd: number, data: Bytes, length: number, flags: number) => number = bind(
  'long send(int fd, const void *data, size_t length, int flags)',
);
/** recv(2) */
export const recv: (fd: number, data: Bytes, length: number, flags: number) => number = bind(
  'long recv(int fd, void *data, size_t length, int flags)',
);
/** sendto(2) */
export const sendto: (
  fd: number,
  data: Bytes,
  length: number,
  flags: number,
  address: Bytes,
  addressLength: number,
) => number = bind(
  'long sendto(int fd, const void *data, size_t length, int flags, const void *address, uint addressLength)',
);
/** recvfrom(2); `addressLength` is a socklen_t, before and after. */
export const recvfrom: (
  fd: number,
  data: Bytes,
  length: number,
  flags: number,
  address: Bytes,
  addressLength: Bytes,
) => number = bind(
  'long recvfrom(int fd, void *data, size_t length, int flags, void *address, void *addressLength)',
);
/** read(2) */
export const read: (fd: number, data: Bytes, length: number) => number = bind(
  'long read(int fd, void *data, size_t length)',
);
/** write(2) */
export const write: (fd: number, data: Bytes, length: number) => number = bind(
  'long write(int fd, const void *data, size_t length)',
);
/** poll(2), with an array of struct pollfd. */
export const poll: (descriptors: Bytes, count: number, timeoutMs: number) => number = bind(
  'int poll(void *descriptors, ulong count, int timeoutMs)',
);
/** getsockopt(2); `length` holds the bytes of `value`, and those written, as socklen_t. */
export const getsockopt: (fd: number, level: number, name: number, value: Bytes, length: Bytes) => number =
  bind('int getsockopt(int fd, int level, int name, void *value, void *length)');
/** setsockopt(2) */
export const setsockopt: (fd: number, level: number, name: number, value: Bytes, length: number) => number =
  bind('int setsockopt(int fd, int level, int name, const void *value, uint length)');
/** close(2) */
export const close: (fd: number) => number = bind('int close(int fd)');
/** open(2) */
export const open: (path: string, flags: number, mode: number) => number = bind(
  'int open(const char *path, int flags, uint mode)',
);
/** openat(2) */
export const openat: (directory: number, path: string, flags: number, mode: number) => number = bind(
  'int openat(int directory, const char *path, int flags, uint mode)',
);
/** dup2(2) */
export const dup2: (from: number, to: number) => number = bind('int dup2(int from, int to)');
/** setns(2) */
export const setns: (fd: number, type: number) => number = bind('int setns(int fd, int type)');
/** unshare(2) */
export const unshare: (flags: number) => number = bind('int unshare(int flags)');
/** mount(2) */
export const mount: (source: Text, target: string, type: Text, flags: number, data: Text) => number = bind(
  'int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)',
);
/** umount2(2) */
export const umount2: (target: string, flags: number) => number = bind(
  'int umount2(const char *target, int flags)',
);
/** mknod(2) */
export const mknod: (path: string | Bytes, mode: number, device: number | bigint) => number = bind(
  'int mknod(const char *path, uint mode, uint64_t device)',
);
/** lchown(2) */
export const lchown: (path: string, uid: number, gid: number) => number = bind(
  'int lchown(const char *path, uint uid, uint gid)',
);
/** lsetxattr(2) */
export const lsetxattr: (
  path: string | Bytes,
  name: string,
  value: Bytes,
  length: number,
  flags: number,
) => number = bind(
  'int lsetxattr(const char *path, const char *name, const void *value, size_t length, int flags)',
);
/** llistxattr(2) */
export const llistxattr: (path: string | Buffer, list: Bytes, length: number) => number = bind(
  'long llistxattr(const char *path, void *list, size_t length)',
);

/** lgetxattr(2) */
export const lgetxattr: (path: string | Buffer, name: string, value: Bytes, length: number) => number = bind(
  'long lgetxattr(const char *path, const char *name, void *value, size_t length)',
);
/** utimensat(2) */
export const utimensat: (directory: number, path: string | Bytes, times: Bytes, flags: number) => number =
  bind('int utimensat(int directory, const char *path, const void *times, int flags)');
/** flock(2) */
export const flock: (fd: number, operation: number) => number = bind('int flock(int fd, int operation)');
/** statfs(2) */
export const statfs: (path: string, buffer: Bytes) => number = bind(
  'int statfs(const char *path, void *buffer)',
);
/** ioctl(2) with a pointer argument */
export const ioctl: (fd: number, request: number, argument: Bytes) => number = bind(
  'int ioctl(int fd, ulong request, void *argument)',
);
/** ioctl(2) with an integer argument */
export const ioctlValue: (fd: number, request: number, argument: number) => number = bind(
  'int ioctl(int fd, ulong request, ulong argument)',
);
/** prctl(2) */
export const prctl: (option: number, a: number, b: number, c: number, d: number) => number = bind(
  'int prctl(int option, ulong a, ulong b, ulong c, ulong d)',
);
/** waitid(2) */
export const waitid: (idType: number, id: number, info: Bytes, options: number) => number = bind(
  'int waitid(int idType, uint id, void *info, int options)',
);
/** kill(2) */
export const kill: (pid: number, signal: number) => number = bind('int kill(int pid, int signal)');
/** syscall(2), with integer arguments only */
export const syscall: (
  number: number,
  a: number | bigint,
  b: number | bigint,
  c: number | bigint,
  d: number | bigint,
  e: number | bigint,
  f: number | bigint,
) => number = bind('long syscall(long number, long a, long b, long c, long d, long e, long f)');
/** socketpair(2) into two ints. */
export const socketpair: (domain: number, type: number, protocol: number, fds: Bytes) => number = bind(
  'int socketpair(int domain, int type, int protocol, void *fds)',
);
/** waitpid(2), the status into an int. */
export const waitpid: (pid: number, status: Bytes, options: number) => number = bind(
  'int waitpid(int pid, void *status, int options)',
);
/** if_nametoindex(3), in the thread's network namespace; 0 where there is none of that name. */
export const ifNameToIndex: (name: string) => number = bind('uint if_nametoindex(const char *name)');
/** posix_spawn(3); it and its helpers return an errno. The lists end with null. */
export const posixSpawn: (
  pid: Bytes,
  path: string,
  actions: Bytes,
  attributes: Bytes,
  argv: readonly Text[],
  envp: readonly Text[],
) => number = bind(
  'int posix_spawn(void *pid, const char *path, const void *actions, const void *attributes, const char **argv, const char **envp)',
);
/** posix_spawn_file_actions_init(3) */
export const spawnActionsInit: (actions: Bytes) => number = bind(
  'int posix_spawn_file_actions_init(void *actions)',
);
/** posix_spawn_file_actions_destroy(3) */
export const spawnActionsDestroy: (actions: Bytes) => number = bind(
  'int posix_spawn_file_actions_destroy(void *actions)',
);
/** posix_spawn_file_actions_adddup2(3) */
export const spawnActionsAddDup2: (actions: Bytes, from: number, to: number) => number = bind(
  'int posix_spawn_file_actions_adddup2(void *actions, int from, int to)',
);
/** posix_spawn_file_actions_addopen(3) */
export const spawnActionsAddOpen: (
  actions: Bytes,
  fd: number,
  path: string,
  flags: number,
  mode: number,
) => number = bind(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, uint mode)',
);
/** posix_spawnattr_init(3) */
export const spawnAttributesInit: (attributes: Bytes) => number = bind(
  'int posix_spawnattr_init(void *attributes)',
);
/** posix_spawnattr_setflags(3) */
export const spawnAttributesSetFlags: (attributes: Bytes, flags: number) => number = bind(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
/** posix_spawnattr_setsigdefault(3) */
export const spawnAttributesSetSigDefault: (attributes: Bytes, signals: Bytes) => number = bind(
  'int posix_spawnattr_setsigdefault(void *attributes, const void *signals)',
);
/** openat2(2), which glibc has no function for: its number, and a path of any bytes that ends with 0. */
export const openat2: (
  number: number,
  directory: number,
  path: Bytes,
  how: Bytes,
  howLength: number,
) => number = bind(
  'long syscall(long number, int directory, const void *path, const void *how, size_t size)',
);
/** bpf(2), which glibc has no function for: its number, a command, and all of union bpf_attr. */
export const bpf: (number: number, command: number, attributes: Bytes, length: number) => number = bind(
  'long syscall(long number, int command, void *attributes, uint size)',
);
/**
 * Where bytes are, for structures that hold pointers. They stay there as long as somebody holds the Buffer; the kernel must not keep the
 * pointer beyond the call.
 */
export const addressOf = (data: Bytes): bigint => BigInt(koffi.address(data));
/** getdents64(2) */
export const getdents64: (fd: number, entries: Bytes, length: number) => number = bind(
  'long getdents64(int fd, void *entries, size_t length)',
);
/** lseek(2), with the positions that getdents64 gives, which use all 64 bits. */
export const lseek: (fd: number, offset: bigint, whence: number) => number | bigint = bind(
  'int64_t lseek(int fd, int64_t offset, int whence)',
);
/** statx(2) */
export const statx: (directory: number, path: Bytes, flags: number, mask: number, buffer: Bytes) => number =
  bind('int statx(int directory, const void *path, int flags, uint mask, void *buffer)');
/** unlinkat(2) */
export const unlinkat: (directory: number, path: Bytes, flags: number) => number = bind(
  'int unlinkat(int directory, const void *path, int flags)',
);
/** fchownat(2) */
export const fchownat: (directory: number, path: Bytes, uid: number, gid: number, flags: number) => number =
  bind('int fchownat(int directory, const void *path, uint uid, uint gid, int flags)');
/** readlinkat(2) */
export const readlinkat: (directory: number, path: Bytes, target: Bytes, length: number) => number = bind(
  'long readlinkat(int directory, const void *path, void *target, size_t length)',
);
/** umount2(2) of a path of any bytes. */
export const umount2Bytes: (target: Bytes, flags: number) => number = bind(
  'int umount2(const void *target, int flags)',
);
/** malloc_trim(3): gives what is free in the C library's heap back to the kernel, but so many bytes at its top. 1 if there was any. */
export const mallocTrim: (padBytes: number) => Promise<number> = bindAsync('int malloc_trim(size_t pad)');
