import { constants } from 'node:fs';
import { basename, dirname, relative } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { isWithin } from '#native/mount/mountinfo.ts';
import type { Mounts } from '#native/mount/mount.ts';
import { openBeneathFd, openDirectoryFd, unmountAt } from '#native/sys/at.ts';
import {
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '#native/sys/constants.ts';

/**
 * Detaches every mount below a directory of ours, innermost first, each reached from the directory by descriptors: a path with
 * a link in it leads elsewhere and is passed over. What is mounted on the directory itself is the administrator's. How many.
 * `isOurs` is asked of each place, relative to the directory.
 */
export function unmountBelow(
  directory: string,
  mounts: Pick<Mounts, 'list'>,
  isOurs: (place: string) => boolean = () => true,
): number {
  const places = mounts
    .list()
    .map(({ target }) => target)
    .filter((target) => target !== directory && isWithin(target, directory))
    .map((target) => relative(directory, target))
    .filter(isOurs);
  if (places.length === 0) return 0;
  using root = openDirectoryFd(directory);

  return places.toReversed().filter((place) => unmountBeneath(root.fd, place)).length;
}

function unmountBeneath(root: number, place: string): boolean {
  try {
    using parent = openBeneathFd(root, Buffer.from(dirname(place)), {
      flags: O_PATH | constants.O_DIRECTORY,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    });

    return unmountAt(parent.fd, Buffer.from(basename(place)));
  } catch (error) {
    // Under another mount that is gone by now, or through a link.
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}
