import { lstatSync, type BigIntStats } from 'node:fs';
import { getXattr } from '#native/sys/file.ts';
import { layerPath, layerRoot, type LayerPath } from './unpack/layer-path.ts';

/** What the layers below make of a name. */
export interface BelowNode {
  /** Of the topmost that has it. */
  readonly path: LayerPath;
  readonly stats: BigIntStats;
}

/**
 * The layers that lie below one that is being written, as overlayfs shows them together. Synchronous, as the writer is. No link of
 * them is followed: a name behind one is not there.
 */
export class LowerLayers {
  readonly #root: readonly string[];
  /** By path below the root: the directories that make it up, topmost first; none where it is no directory. */
  readonly #directories = new Map<string, readonly string[]>();

  /** Topmost first. */
  constructor(layers: readonly string[]) {
    this.#root = layers.map(layerRoot);
  }

  /** `relative`: bytes as latin1, as all names of layers. Undefined: nothing is there. */
  find(relative: string): BelowNode | undefined {
    const cut = relative.lastIndexOf('/');
    const name = relative.slice(cut + 1);
    for (const directory of this.#directoriesAt(cut < 0 ? '' : relative.slice(0, cut))) {
      const path = layerPath(directory, name);
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (stats === undefined) continue;
      return isWhiteout(stats) ? undefined : { path, stats };
    }
    return undefined;
  }

  isDirectory(relative: string): boolean {
    return this.#directoriesAt(relative).length > 0;
  }

  #directoriesAt(relative: string): readonly string[] {
    if (relative === '') return this.#root;
    const known = this.#directories.get(relative);
    if (known !== undefined) return known;
    const cut = relative.lastIndexOf('/');
    const name = relative.slice(cut + 1);
    const found: string[] = [];
    for (const parent of this.#directoriesAt(cut < 0 ? '' : relative.slice(0, cut))) {
      const path = layerPath(parent, name);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      if (!stats.isDirectory()) break;
      found.push(`${parent}/${name}`);
      if (isOpaque(path)) break;
    }
    this.#directories.set(relative, found);
    return found;
  }
}

export function isWhiteout(stats: { isCharacterDevice(): boolean; readonly rdev: number | bigint }): boolean {
  return stats.isCharacterDevice() && Number(stats.rdev) === 0;
}

export function isOpaque(directory: LayerPath): boolean {
  return getXattr(directory, 'trusted.overlay.opaque')?.toString('latin1') === 'y';
}
