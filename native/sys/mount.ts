import { MNT_DETACH, UMOUNT_NOFOLLOW } from './constants.ts';
import { checked, kernelError } from './errno.ts';
import { lastErrno, mount, umount2 } from './libc.ts';

const ENOENT = 2;
const EINVAL = 22;

/** Arguments of mount(2). */
export interface MountCall {
  readonly source?: string;
  readonly target: string;
  readonly type?: string;
  readonly flags: number; // MS_*
  readonly data?: string;
}

/** mount(2). @throws E_NOT_FOUND, E_BUSY, E_PERMISSION, E_UNSUPPORTED (no such file system: ENODEV is E_NOT_FOUND) */
export function mountAt(call: MountCall): void {
  const result = mount(call.source ?? null, call.target, call.type ?? null, call.flags, call.data ?? null);
  checked(result, () => `mount ${call.type ?? call.source ?? 'flags'} at ${call.target}`);
}

/**
 * umount2(2) with MNT_DETACH, the topmost mount at the path; symbolic links are not followed. Whether there was one: a path
 * that is gone or no mount point is no error.
 */
export function detachMount(target: string): boolean {
  if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return true;
  const errno = lastErrno();
  if (errno === ENOENT || errno === EINVAL) return false;
  throw kernelError(`unmount ${target}`, errno);
}
