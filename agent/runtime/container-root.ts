import { mkdir, readdir } from 'node:fs/promises';
import { removeTree } from '#native/fs/remove-tree.ts';

/** Beside the directory of the writable layer, which the launch makes itself. */
const volumesSuffix = '.volumes';
const imagesSuffix = '.images';
const suffixes = [volumesSuffix, imagesSuffix] as const;

/** Of the volumes that a container's image wants. */
export function volumesDirectory(containersDirectory: string, id: string): string {
  return `${containersDirectory}/${id}${volumesSuffix}`;
}

/** Where the images that a container mounts are, while it is launched. */
export function imagesDirectory(containersDirectory: string, id: string): string {
  return `${containersDirectory}/${id}${imagesSuffix}`;
}

/** Removes a container's writable directories, which its launch made, whatever the container wrote there. */
export async function removeRoot(containersDirectory: string, id: string): Promise<void> {
  await removeTree(`${containersDirectory}/${id}`);
  for (const suffix of suffixes) await removeTree(`${containersDirectory}/${id}${suffix}`);
}

/** Removes the directories of containers that nothing knows any more. */
export async function removeUnknownRoots(
  containersDirectory: string,
  known: ReadonlySet<string>,
): Promise<void> {
  await mkdir(containersDirectory, { recursive: true, mode: 0o700 });
  for (const id of await readdir(containersDirectory)) {
    const suffix = suffixes.find((each) => id.endsWith(each)) ?? '';
    const owner = id.slice(0, id.length - suffix.length);
    if (!known.has(owner)) await removeRoot(containersDirectory, owner);
  }
}
