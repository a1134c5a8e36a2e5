import { constants } from 'node:fs';
import { lstat, open, readlink } from 'node:fs/promises';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { isOpaque } from '#agent/runtime/images/lower-layers.ts';

const linksMax = 40; // MAXSYMLINKS of Linux

/** A directory as a container sees it: these of the layers together, topmost first. All of them are known to be directories. */
type Merged = readonly string[];

type Found =
  | { readonly kind: 'directory'; readonly merged: Merged }
  | { readonly kind: 'link' | 'file' | 'other'; readonly path: string };

/**
 * Reads a small file as a container made of these layers (top first) would see it, without mounting them, by the rules of overlayfs
 * (kernel Documentation/filesystems/overlayfs.rst): one component after another, each looked up in the directories that make up the one
 * before, so that no link of a layer is ever followed by the kernel, which would end in the host's files. Nobody writes layers.
 *
 * Undefined when there is none, or it is no regular file. @throws E_INVALID when it is larger than `bytesMax` or links go round
 */
export async function readLayeredFile(
  layers: readonly string[],
  path: string,
  bytesMax: number,
): Promise<string | undefined> {
  const found = await findLayered(layers, path);
  return found?.kind === 'file' ? readBounded(found.path, path, bytesMax) : undefined;
}

/** The directories that make one up, topmost first; undefined where the path leads to none. @throws E_INVALID when links go round */
export async function findLayeredDirectory(
  layers: readonly string[],
  path: string,
): Promise<Merged | undefined> {
  const found = await findLayered(layers, path);
  return found?.kind === 'directory' ? found.merged : undefined;
}

async function findLayered(layers: readonly string[], path: string): Promise<Found | undefined> {
  const root: Merged = await opaqueCut(layers);
  let above: Merged[] = [];
  let here: Merged = root;
  const rest = split(path);
  for (let links = 0; ;) {
    const name = rest.shift();
    if (name === undefined) return { kind: 'directory', merged: here };
    if (name === '..') {
      here = above.pop() ?? root;
      continue;
    }
    const found = await lookUp(here, name);
    if (found === undefined) return undefined;
    if (found.kind === 'directory') {
      above.push(here);
      here = found.merged;
    } else if (found.kind === 'link') {
      links += 1;
      if (links > linksMax)
        throw new PodwrightError('E_INVALID', `read ${path} of image: too many symbolic links`);
      const target = await readlink(found.path);
      if (target.startsWith('/')) [above, here] = [[], root];
      rest.unshift(...split(target));
    } else {
      return rest.length === 0 ? found : undefined;
    }
  }
}

/** What the topmost layer that has the name makes of it; a directory goes on with those of the layers below, down to one that hides them. */
async function lookUp(directories: Merged, name: string): Promise<Found | undefined> {
  const merged: string[] = [];
  for (const directory of directories) {
    const path = `${directory}/${name}`;
    const kind = await kindOf(path);
    if (kind === undefined) continue;
    if (kind !== 'directory') {
      if (merged.length > 0 || kind === 'whiteout') break;
      return { kind, path };
    }
    merged.push(path);
    if (isOpaque(path)) break;
  }
  return merged.length === 0 ? undefined : { kind: 'directory', merged };
}

async function kindOf(path: string): Promise<Found['kind'] | 'whiteout' | undefined> {
  try {
    const stats = await lstat(path);
    if (stats.isDirectory()) return 'directory';
    if (stats.isSymbolicLink()) return 'link';
    if (stats.isFile()) return 'file';
    return stats.isCharacterDevice() && stats.rdev === 0 ? 'whiteout' : 'other';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENAMETOOLONG') return undefined;
    throw error;
  }
}

/** Layers below one whose root is opaque are hidden as a whole. */
async function opaqueCut(layers: readonly string[]): Promise<Merged> {
  const opaque = layers.findIndex(isOpaque);
  return opaque < 0 ? layers : layers.slice(0, opaque + 1);
}

async function readBounded(file: string, path: string, bytesMax: number): Promise<string> {
  await using handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);

  const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytesMax + 1), 0, bytesMax + 1, 0);
  if (bytesRead > bytesMax)
    throw new PodwrightError('E_INVALID', `read ${path} of image: larger than ${bytesMax} bytes`);
  return buffer.toString('utf8', 0, bytesRead);
}

function split(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}
