import { mkdir, readdir } from 'node:fs/promises';
import { removeTree } from '#native/fs/remove-tree.ts';

/** Removes a container's writable directories, which its launch made, whatever the container wrote there. */
export async function removeRoot(containersDirectory: string, id: string): Promise<void> {
  await removeTree(`${containersDirectory}/${id}`);
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
