import { CLONE_NEWNS, MS_PRIVATE, MS_REC } from '#native/sys/constants.ts';
import { checked } from '#native/sys/errno.ts';
import { unshare } from '#native/sys/libc.ts';
import { mountAt } from '#native/sys/mount.ts';

/** Puts this test's process into a mount namespace of its own, for good: what it mounts, the machine never sees. Root. */
export function enterOwnMounts(): void {
  checked(unshare(CLONE_NEWNS), 'unshare mount namespace');
  mountAt({ target: '/', flags: MS_PRIVATE | MS_REC });
}
