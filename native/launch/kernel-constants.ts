/** Flags that programs are made of; names and values as in the kernel's headers, which each line names. */

/** linux/mount.h, mount(2). */
export const MS = {
  MS_BIND: 0x1000,
  MS_REC: 0x4000,
  MS_UNBINDABLE: 0x2_0000,
  MS_PRIVATE: 0x4_0000,
  MS_SLAVE: 0x8_0000,
  MS_SHARED: 0x10_0000,
} as const;

/** linux/mount.h, mount_setattr(2). */
export const MOUNT_ATTR = {
  MOUNT_ATTR_RDONLY: 0x1,
  MOUNT_ATTR_NOSUID: 0x2,
  MOUNT_ATTR_NODEV: 0x4,
  MOUNT_ATTR_NOEXEC: 0x8,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_NOSYMFOLLOW: 0x20_0000,
} as const;
export const MOUNT_ATTR_IDMAP = 0x10_0000;
/** The bits of the access-time mode, which is one field (MOUNT_ATTR__ATIME). */
export const MOUNT_ATTR__ATIME = 0x70;

/** linux/mount.h: open_tree(2), move_mount(2), umount2(2). */
export const TREE = {
  OPEN_TREE_CLONE: 1,
  OPEN_TREE_CLOEXEC: 0o2000000,
  AT_EMPTY_PATH: 0x1000,
  AT_RECURSIVE: 0x8000,
} as const;
export const MOVE = { MOVE_MOUNT_F_EMPTY_PATH: 0x4, MOVE_MOUNT_T_EMPTY_PATH: 0x40 } as const;
export const MNT = { MNT_DETACH: 2 } as const;

/** asm-generic/fcntl.h; only what is the same on every processor. */
export const AT_FDCWD = -100;
export const OPEN = { O_PATH: 0o10000000, O_CLOEXEC: 0o2000000 } as const;

/** linux/sched.h. */
export const CLONE = {
  CLONE_NEWTIME: 0x80,
  CLONE_NEWNS: 0x2_0000,
  CLONE_NEWCGROUP: 0x200_0000,
  CLONE_NEWUTS: 0x400_0000,
  CLONE_NEWIPC: 0x800_0000,
  CLONE_NEWUSER: 0x1000_0000,
  CLONE_NEWPID: 0x2000_0000,
  CLONE_NEWNET: 0x4000_0000,
} as const;

/** asm-generic/ioctls.h. */
export const TIOCSCTTY = 0x540e;
export const TIOCSWINSZ = 0x5414;

/** linux/keyctl.h. */
export const KEYCTL = { KEYCTL_JOIN_SESSION_KEYRING: 1 } as const;

/** linux/prctl.h. */
export const PR = {
  PR_SET_PDEATHSIG: 1,
  PR_SET_KEEPCAPS: 8,
  PR_SET_SECUREBITS: 28,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_CAP_AMBIENT: 47,
} as const;
/** The second argument of PR_CAP_AMBIENT. */
export const PR_CAP_AMBIENT = { PR_CAP_AMBIENT_RAISE: 2, PR_CAP_AMBIENT_CLEAR_ALL: 4 } as const;
/** linux/securebits.h. */
export const SECBIT = { SECBIT_NO_SETUID_FIXUP: 4 } as const;
/** linux/seccomp.h. */
export const SECCOMP = { SECCOMP_SET_MODE_FILTER: 1 } as const;
/** signal(7). */
export const SIGKILL = 9;

/** asm-generic/resource.h. */
export const RLIMIT: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** stat(2). */
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
