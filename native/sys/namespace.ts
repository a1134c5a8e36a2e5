import { CLONE_NEWNET, O_RDONLY } from './constants.ts';
import { PodwrightError } from '#base/errors.ts';
import { checked, kernelError } from './errno.ts';
import { openFd } from './fd.ts';
import { lastErrno, setns, unshare } from './libc.ts';

const EINVAL = 22;

/** The network namespace of the calling thread, not of the process: they differ inside the calls below. */
export const threadNetnsPath = '/proc/thread-self/ns/net';

/**
 * Runs `inside` (strictly synchronous) with the calling thread in the network namespace at `path`, and comes back. Sockets
 * made inside stay in that namespace. Other threads are not touched (setns(2) is per thread).
 *
 * @throws E_NOT_FOUND when the path is missing or no namespace
 *
 * The process is aborted if there is no way back: every later packet, pull and listener of it would be in the wrong place.
 */
export function withNetns<T>(path: string, inside: () => T): T {
  using home = openFd(threadNetnsPath, O_RDONLY);
  using target = openFd(path, O_RDONLY);

  if (setns(target.fd, CLONE_NEWNET) < 0) throw enterError(path, lastErrno());
  try {
    return inside();
  } finally {
    if (setns(home.fd, CLONE_NEWNET) < 0) process.abort();
  }
}

/** A plain file where a namespace was bound is what removing it by hand, or a reboot, leaves behind. */
function enterError(path: string, errno: number): PodwrightError {
  const attempt = `enter network namespace ${path}`;
  if (errno !== EINVAL) return kernelError(attempt, errno);
  return new PodwrightError('E_NOT_FOUND', `${attempt}: nothing is mounted there`, {
    detail: { errno: 'EINVAL' },
  });
}

/** As withNetns, in a fresh network namespace that lives on only if `inside` pins it. */
export function withFreshNetns<T>(inside: () => T): T {
  using home = openFd(threadNetnsPath, O_RDONLY);

  checked(unshare(CLONE_NEWNET), 'unshare network namespace');
  try {
    return inside();
  } finally {
    if (setns(home.fd, CLONE_NEWNET) < 0) process.abort();
  }
}
