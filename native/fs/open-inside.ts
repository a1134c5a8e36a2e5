/** Opening and making what lies inside a directory that others write to, whatever they swap meanwhile. */
import { constants, fchmodSync, mkdirSync } from 'node:fs';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { openBeneathFd, statAt } from '#native/sys/at.ts';
import * as sys from '#native/sys/constants.ts';
import { fromNodeError } from '#native/sys/errno.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';

const { O_DIRECTORY, O_NOFOLLOW } = constants; // Their values differ between architectures.

/** The kernel gives up when a directory on the way is renamed while it goes up from it (openat2(2), EAGAIN). */
const triesMax = 128;

/** What was found: a descriptor of it alone (O_PATH), which opens nothing: no device acts, no FIFO waits. */
export interface Inside extends Disposable {
  readonly fd: number;
  readonly type: 'directory' | 'file' | 'other';
  readonly sizeBytes: number;
}

/**
 * Opens a path inside a directory by one openat2(2) with RESOLVE_BENEATH: links are followed as long as they stay inside, and the
 * kernel checks that at every step, so that no swap of a component leads out (CVE-2017-1002101, CVE-2021-25741). Mounts below are
 * entered. The root's own path must be one that only root changes.
 *
 * @throws errno ENOENT; E_INVALID when it leads out, in circles or is absolute; E_BUSY when it is renamed without end
 */
export function openInside(root: string, relative: string): Inside {
  using directory = openFd(root, sys.O_PATH | O_DIRECTORY);

  return insideOf(beneath(directory, relative, sys.O_PATH));
}

/** The same; directories that are missing are made with these permission bits. */
export function ensureInside(root: string, relative: string, mode: number): Inside {
  using directory = openFd(root, sys.O_PATH | O_DIRECTORY);

  const names = relative.split('/').filter((name) => name !== '' && name !== '.');
  for (let tries = 0; ; tries++) {
    try {
      return insideOf(beneath(directory, relative, sys.O_PATH));
    } catch (error) {
      // Made, and gone again at once: somebody plays with it.
      if (errnoOf(error) !== 'ENOENT' || tries >= triesMax) throw error;
    }
    makeMissing(directory, names, mode);
  }
}

/** Makes all directories of the path from the first that is missing on; what somebody else made meanwhile is left as it is. */
function makeMissing(root: OwnedFd, names: readonly string[], mode: number): void {
  let count = 1;
  while (count <= names.length && isThere(root, names.slice(0, count).join('/'))) count++;
  let parent = beneath(root, names.slice(0, count - 1).join('/'), sys.O_PATH | O_DIRECTORY);
  for (const name of names.slice(count - 1)) {
    using above = parent;

    const made = makeBelow(above, name, mode);
    if (made === undefined) return;
    parent = made;
  }
  parent[Symbol.dispose]();
}

function isThere(root: OwnedFd, relative: string): boolean {
  try {
    using _found = beneath(root, relative, sys.O_PATH);

    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Undefined when it was there already (a directory that another made, a link that leads nowhere), or no longer is once it is made. */
function makeBelow(parent: OwnedFd, name: string, mode: number): OwnedFd | undefined {
  try {
    mkdirSync(`/proc/self/fd/${parent.fd}/${name}`, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return undefined;
    throw fromNodeError(error, `make directory ${JSON.stringify(name)}`);
  }
  const flags = sys.O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const resolve = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_XDEV;
  try {
    const made = openBeneathFd(parent.fd, Buffer.from(name), { flags, resolve });
    fchmodSync(made.fd, mode); // Whatever the umask is.
    return made;
  } catch (error) {
    if (swapped.has(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** What opening says where a directory that was just made has given its place to something else. */
const swapped: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV']);

function beneath(root: OwnedFd, relative: string, flags: number): OwnedFd {
  const path = Buffer.from(relative === '' ? '.' : relative);
  const resolve = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_MAGICLINKS;
  for (let tries = 1; ; tries++) {
    try {
      return openBeneathFd(root.fd, path, { flags, resolve });
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EXDEV' || errno === 'ELOOP') {
        const message = `open ${JSON.stringify(relative)}: it leads out of the volume`;
        throw new PodwrightError('E_INVALID', message, { cause: error });
      }
      if (errno !== 'EAGAIN') throw error;
      if (tries < triesMax) continue;
      const message = `open ${JSON.stringify(relative)}: directories on the way are renamed without end`;
      throw new PodwrightError('E_BUSY', message, { cause: error });
    }
  }
}

function insideOf(fd: OwnedFd): Inside {
  const found = statAt(fd.fd, Buffer.alloc(0));
  const format = (found?.mode ?? 0) & sys.S_IFMT;
  const type = format === sys.S_IFDIR ? 'directory' : format === sys.S_IFREG ? 'file' : 'other';
  return {
    fd: fd.fd,
    type,
    sizeBytes: found?.sizeBytes ?? 0,
    [Symbol.dispose]: () => fd[Symbol.dispose](),
  };
}
