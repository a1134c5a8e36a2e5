import { chmod, chown, mkdir, readdir, rm } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { imageError } from './images/image-error.ts';
import type { ImageContent } from './images/image-store.ts';
import type { ContainerPlan } from './plan-container.ts';
import { settleAll } from './settle-all.ts';

/** Makes a container's writable directories. All or nothing. @throws E_NO_SPACE, E_EXISTS */
export async function createRoot(
  directories: ContainerPlan['directories'],
  like: ImageContent['root'],
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
    await settleAll([makeUpper(upper, like), mkdir(work), mkdir(merged)]);
  } catch (cause) {
    await rm(base, { recursive: true, force: true });
    throw imageError(`make container root ${base}`, cause);
  }
}

/** The root of an overlay shows the owner and mode of its upper directory, not the image's. */
async function makeUpper(path: string, { mode, uid, gid }: ImageContent['root']): Promise<void> {
  await mkdir(path, { mode });
  if (uid !== 0 || gid !== 0) await chown(path, uid, gid);
  await chmod(path, mode); // After chown, which takes bits away, as the agent's umask did.
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
