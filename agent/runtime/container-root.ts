import { chmod, chown, lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { parseAccounts, type ImageAccounts } from './image-user.ts';
import { imageError } from './images/image-error.ts';
import { readLayeredFile } from './layered-file.ts';
import type { ContainerPlan } from './plan-container.ts';

/** Bound of an image's /etc/passwd and /etc/group, bytes. */
const accountsBytesMax = 1024 * 1024;

/** The accounts that an image knows. */
export async function readAccounts(lower: readonly string[]): Promise<ImageAccounts> {
  const read = (path: string): Promise<string | undefined> => readLayeredFile(lower, path, accountsBytesMax);
  const [passwd, group] = await Promise.all([read('/etc/passwd'), read('/etc/group')]);
  return parseAccounts(passwd ?? '', group ?? '');
}

/** Makes a container's writable directories. All or nothing. @throws E_NO_SPACE, E_EXISTS */
export async function createRoot(
  directories: ContainerPlan['directories'],
  lower: readonly string[],
): Promise<void> {
  const { base, upper, work, merged } = directories;
  try {
    await mkdir(base, { mode: 0o700 });
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST')
      throw new PodwrightError('E_EXISTS', `make container root ${base}: it exists`);
    throw imageError(`make container root ${base}`, cause);
  }
  try {
    await Promise.all([upper, work, merged].map((path) => mkdir(path)));
    // The root of an overlay shows the owner and mode of its upper directory, not the image's.
    const [top] = lower;
    const like = top === undefined ? { mode: 0o755, uid: 0, gid: 0 } : await lstat(top);
    await chown(upper, like.uid, like.gid);
    await chmod(upper, like.mode & 0o7777);
  } catch (cause) {
    await rm(base, { recursive: true, force: true });
    throw imageError(`make container root ${base}`, cause);
  }
}

export async function removeRoot(containersDirectory: string, id: string): Promise<void> {
  await rm(`${containersDirectory}/${id}`, { recursive: true, force: true });
}

/** Removes the directories of containers that nothing knows any more. */
export async function removeUnknownRoots(
  containersDirectory: string,
  known: ReadonlySet<string>,
): Promise<void> {
  await mkdir(containersDirectory, { recursive: true, mode: 0o700 });
  for (const id of await readdir(containersDirectory)) {
    if (!known.has(id)) await removeRoot(containersDirectory, id);
  }
}
