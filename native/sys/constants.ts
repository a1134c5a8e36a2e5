/** Numbers of the kernel's interface, x86-64 and arm64 alike; constants.test.ts compares each with the machine's headers. */

// sched.h
export const CLONE_NEWNS = 0x0002_0000;
export const CLONE_NEWCGROUP = 0x0200_0000;
export const CLONE_NEWUTS = 0x0400_0000;
export const CLONE_NEWIPC = 0x0800_0000;
export const CLONE_NEWPID = 0x2000_0000;
export const CLONE_NEWNET = 0x4000_0000;

// fcntl.h (those with an architecture-dependent value are left out)
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;

// sys/file.h
export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_NB = 4;
export const LOCK_UN = 8;

// sys/socket.h
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_PEERCRED = 17;
export const SO_RCVTIMEO = 20;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SOL_NETLINK = 270;
export const MSG_DONTWAIT = 0x40;
export const MSG_TRUNC = 0x20;

// sys/mount.h
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_NOSYMFOLLOW = 256;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_UNBINDABLE = 0x2_0000;
export const MS_PRIVATE = 0x4_0000;
export const MS_SLAVE = 0x8_0000;
export const MS_SHARED = 0x10_0000;
export const MS_RELATIME = 0x20_0000;
export const MS_STRICTATIME = 0x100_0000;
export const MNT_FORCE = 1;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;

// sys/stat.h
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

// linux/stat.h
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_MNT_ID = 0x1000; // since 5.8

// dirent.h
export const DT_UNKNOWN = 0;
export const DT_DIR = 4;
export const DT_REG = 8;
export const DT_LNK = 10;

// linux/openat2.h
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;

// linux/fs.h
export const FS_IOC_GETFLAGS = 0x8008_6601;
export const FS_IOC_SETFLAGS = 0x4008_6602;
export const FS_IMMUTABLE_FL = 0x10;
export const FS_APPEND_FL = 0x20;

// sys/wait.h
export const WNOHANG = 1;
export const WEXITED = 4;
export const P_PIDFD = 3;

// bits/siginfo-consts.h
export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;

// sys/prctl.h
export const PR_SET_PDEATHSIG = 1;
export const PR_GET_DUMPABLE = 3;
export const PR_SET_DUMPABLE = 4;
export const PR_SET_CHILD_SUBREAPER = 36;

// sys/ioctl.h
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;

// sys/syscall.h
export const SYS_openat2 = 437;
export const SYS_pidfd_send_signal = 424;
export const SYS_pidfd_open = 434;
export const SYS_pidfd_getfd = 438;

// linux/magic.h
export const CGROUP2_SUPER_MAGIC = 0x6367_7270;
export const OVERLAYFS_SUPER_MAGIC = 0x794c_7630;
export const NSFS_MAGIC = 0x6e73_6673;
export const TMPFS_MAGIC = 0x0102_1994;
export const PROC_SUPER_MAGIC = 0x9fa0;

// linux/xattr.h
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
