/**
 * Directories that an image wants to be volumes (its config's Volumes), as containerd makes them: one of the container's own for each,
 * with what the image has there, mounted over it, so that it can be written and mounted on whatever the root is.
 */
import { constants, type BigIntStats } from 'node:fs';
import { chmod, copyFile, lchown, link, lstat, mkdir, readdir, readlink, symlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { PodwrightError } from '#base/errors.ts';
import { layerPath, layerRoot, type LayerPath } from '#agent/runtime/images/unpack/layer-path.ts';
import { isOpaque, isWhiteout } from '#agent/runtime/images/lower-layers.ts';
import type { LaunchMount } from '#native/launch/launch.ts';
import { getXattr, listXattrs, makeNode, setTimes, setXattr } from '#native/sys/file.ts';
import { findLayeredDirectory } from './layered-file.ts';

export interface ImageVolume {
  /** In the container. */
  readonly path: string;
  /** On the host. */
  readonly directory: string;
}

/** What is not a place for files of an image, whatever it says. */
const reserved = ['/proc', '/sys', '/dev'];
const volumesMax = 100;

/** The volumes of an image that no mount of the pod takes the place of. Pure. @throws E_INVALID for more than anybody means */
export function planImageVolumes(
  paths: readonly string[],
  mounts: readonly LaunchMount[],
  directory: string,
): readonly ImageVolume[] {
  const normal = (path: string): string => posix.normalize(`/${path}`).replace(/(?<=.)\/+$/, '');
  const isBelow = (path: string, parent: string): boolean => path === parent || path.startsWith(`${parent}/`);
  const taken = new Set(mounts.map(({ target }) => normal(target)));
  // Nothing can be made in what is mounted read-only.
  const sealed = mounts.filter(({ options }) => options.includes('ro')).map(({ target }) => normal(target));
  if (paths.length > volumesMax)
    throw new PodwrightError(
      'E_INVALID',
      `make volumes of the image: it has ${paths.length}, at most ${volumesMax}`,
    );
  return [...new Set(paths.map(normal))]
    .filter((path) => path !== '/' && !reserved.some((each) => isBelow(path, each)))
    .filter((path) => !taken.has(path) && !sealed.some((parent) => isBelow(path, parent)))
    .map((path, at) => ({ path, directory: `${directory}/${at}` }));
}

/** Makes their directories, which are not there yet, with what the image has. */
export async function fillImageVolumes(
  volumes: readonly ImageVolume[],
  layers: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const { path, directory } of volumes) {
    await mkdir(posix.dirname(directory), { recursive: true, mode: 0o700 });
    const found = (await findLayeredDirectory(layers, path)) ?? [];
    await copyMerged(found.map(layerRoot), layerRoot(directory), { links: new Map(), signal });
  }
}

interface Copying {
  /** By inode of the layer: the first name that was copied. */
  readonly links: Map<bigint, LayerPath>;
  readonly signal: AbortSignal;
}

/** Copies directories that are one of an overlay, topmost first. */
async function copyMerged(merged: readonly string[], target: string, copying: Copying): Promise<void> {
  await mkdir(layerPath(target, ''), { mode: 0o755 });
  const seen = new Set<string>();
  for (const [at, directory] of merged.entries()) {
    for (const name of await readdir(layerPath(directory, ''), { encoding: 'latin1' })) {
      if (seen.has(name)) continue;
      seen.add(name);
      copying.signal.throwIfAborted();
      const path = layerPath(directory, name);
      const stats = await lstat(path, { bigint: true });
      if (isWhiteout(stats)) continue;
      if (stats.isDirectory())
        await copyMerged(await mergedBelow(merged.slice(at), name), `${target}/${name}`, copying);
      else await copyNode({ path, stats }, layerPath(target, name), copying);
    }
  }
  const [top] = merged;
  const to = layerPath(target, '');
  // mkdir(2) goes by the umask.
  if (top === undefined) await chmod(to, 0o755);
  else
    await copyAttributes(
      { path: layerPath(top, ''), stats: await lstat(layerPath(top, ''), { bigint: true }) },
      to,
    );
}

async function mergedBelow(merged: readonly string[], name: string): Promise<readonly string[]> {
  const below: string[] = [];
  for (const directory of merged) {
    const path = layerPath(directory, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats === undefined) continue;
    if (!stats.isDirectory()) break;
    below.push(`${directory}/${name}`);
    if (isOpaque(path)) break;
  }
  return below;
}

interface LayerNode {
  readonly path: LayerPath;
  readonly stats: BigIntStats;
}

async function copyNode(node: LayerNode, to: LayerPath, { links }: Copying): Promise<void> {
  const { path, stats } = node;
  const first = links.get(stats.ino);
  if (first !== undefined) return link(first, to);
  if (stats.nlink > 1n) links.set(stats.ino, to);
  if (stats.isFile()) await copyFile(path, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  else if (stats.isSymbolicLink()) await symlink(await readlink(path, 'buffer'), to);
  else if (stats.isSocket()) return;
  else {
    const type = stats.isFIFO() ? 'p' : stats.isBlockDevice() ? 'b' : 'c';
    makeNode(to, { type, ...numbersOf(stats.rdev), mode: Number(stats.mode & 0o7777n) });
  }
  await copyAttributes(node, to);
}

/** major(3), minor(3) */
function numbersOf(device: bigint): { readonly major: number; readonly minor: number } {
  const major = ((device >> 32n) & 0xffff_f000n) | ((device >> 8n) & 0xfffn);
  const minor = ((device >> 12n) & 0xffff_ff00n) | (device & 0xffn);
  return { major: Number(major), minor: Number(minor) };
}

/** Owner first: chown(2) takes away set-user-id bits and capabilities. */
async function copyAttributes({ path, stats }: LayerNode, to: LayerPath): Promise<void> {
  await lchown(to, Number(stats.uid), Number(stats.gid));
  if (!stats.isSymbolicLink()) {
    await chmod(to, Number(stats.mode & 0o7777n));
    for (const name of listXattrs(path)) {
      const value = name.startsWith('trusted.') ? undefined : getXattr(path, name);
      if (value !== undefined) setXattr(to, name, value);
    }
  }
  setTimes(to, stats.mtimeNs, stats.mtimeNs);
}
