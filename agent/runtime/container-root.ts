import { mkdir, readdir } from 'node:fs/promises';
import { removeTree } from '#native/fs/remove-tree.ts';

/** Beside the directory of the writable layer, which the launch makes itself. */
const volumesSuffix = '.volumes';

/** Of the volumes that a container's image wants. */
export function volumesDirectory(containersDirectory: string, id: string): string {
  return `${containersDirectory}/${id}${volumesSuffix}`;
}

/** Removes a container's writable directories, which its launch made, whatever the container wrote there. */
export async function removeRoot(containersDirectory: string, id: string): Promise<void> {
  await removeTree(`${containersDirectory}/${id}`);
  await removeTree(volumesDirectory(containersDirectory, id));
}

/** Removes the directories of containers that nothing knows any more. */
export async function removeUnknownRoots(
  containersDirectory: string,
  known: ReadonlySet<string>,
): Promise<void> {
  await mkdir(containersDirectory, { recursive: true, mode: 0o700 });
  for (const id of await readdir(containersDirectory)) {
    const owner = id.slice(0, id.length - (id.endsWith(volumesSuffix) ? volumesSuffix.length : 0));
    if (!known.has(owner)) await removeRoot(containersDirectory, owner);
  }
}
