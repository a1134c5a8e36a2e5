import { basename, dirname } from 'node:path';

import { errnoOf, PodwrightError } from '#base/errors.ts';
import { protectedPathProblem } from '#native/fs/protected-path.ts';
import { removeEntry } from '#native/fs/remove-tree.ts';
import type { TreeDirectory } from '#native/fs/tree.ts';
import { createTrees } from '#native/fs/tree.linux.ts';
import { lockFile } from '#native/sys/file.ts';
import { homeDirectories, isFromBeforeMarkers, listSome } from './claim-directory.ts';
import { directoryProblem, lstatIfThere, readMarker, readOnlyProblem, type Marker } from './marker.ts';
import { isEntryOf, markerName, type OwnedRole, programOf, roles } from './role.ts';

/** A directory that is proven ours. */
export interface Owned {
  readonly path: string;
  readonly role: OwnedRole;
  /** undefined in one from before there were markers. */
  readonly marker: Marker | undefined;
}

export interface RemovalReport {
  /** Names in it that are not ours, which stay, and the directory with them. */
  readonly kept: readonly string[];
  /** The directory itself went: it was made by us and nothing is left in it. */
  readonly isGone: boolean;
}

/**
 * Proves that a directory is one that podwright made for a role, and nothing else. undefined when there is none.
 *
 * @throws E_USAGE or E_PERMISSION with what speaks against it and what to do: a directory of the system, a home, a link,
 *   not root's, no marker in it
 */
export function proveOwned(path: string, role: OwnedRole, option = '--data'): Owned | undefined {
  const refuse = (code: 'E_USAGE' | 'E_PERMISSION', why: string): PodwrightError =>
    new PodwrightError(code, `remove ${path}: ${why}; nothing was removed`);
  const problem = protectedPathProblem(path, homeDirectories());
  if (problem !== undefined) throw refuse('E_USAGE', problem);
  const stats = lstatIfThere(path);
  if (stats === undefined) return undefined;
  const owner = process.geteuid?.() ?? 0;
  const unfit = readOnlyProblem(path) ?? directoryProblem(stats, owner);
  if (unfit !== undefined) throw refuse(stats.uid === owner ? 'E_USAGE' : 'E_PERMISSION', unfit);
  if (isOwned(path, role)) return { path, role, marker: readMarker(path, role, owner) };
  const mount = isMountPoint(path) ? 'something is mounted on it, and ' : '';
  throw refuse(
    'E_USAGE',
    `${mount}it is not a directory of podwright ${programOf(role)} (no file ${markerName(role)} in it); name the right one with ${option}, or remove it yourself`,
  );
}

/** Whether a directory says that it is ours; not whether it may be removed. */
export function isOwned(path: string, role: OwnedRole): boolean {
  const owner = process.geteuid?.() ?? 0;
  return readMarker(path, role, owner) !== undefined || isFromBeforeMarkers(path, role, owner);
}

/**
 * Removes what podwright put into a directory of its own, whatever that holds by now (see removeTree); the marker last, so that
 * a removal that was cut off is gone on with. What others put beside it stays, and is told. Mount points stay, emptied.
 *
 * @throws E_BUSY while a process of ours uses it
 */
export async function removeOwned({ path, role, marker }: Owned): Promise<RemovalReport> {
  using parent = createTrees().open(dirname(path));
  const name = Buffer.from(basename(path));
  const isMounted = isMountPoint(path);
  // Through the path where something is mounted, else in one step from its parent, which no link can divert.
  using directory = isMounted ? createTrees().open(path) : parent.openDirectory(name);

  const names = namesIn(directory);
  refuseIfUsed(path, role, names);
  for (const each of names) {
    const text = each.toString();
    const isOurs = isEntryOf(role, text) && !roles.some((other) => text === markerName(other));
    if (isOurs && Buffer.from(text).equals(each)) await removeEntry(directory, each);
  }
  await removeEntry(directory, Buffer.from(markerName(role)));
  const kept = namesIn(directory).map((each) => each.toString());
  if (kept.length > 0 || isMounted || marker?.made !== true) return { kept, isGone: false };
  await removeEntry(parent, name);
  return { kept, isGone: true };
}

/** What was kept and why, for a person; undefined when nothing was. Pure. */
export function describeKept(path: string, { kept, isGone }: RemovalReport): string | undefined {
  if (isGone) return undefined;
  if (kept.length > 0)
    return `${path} stays: ${listSome(kept)} in it ${kept.length === 1 ? 'is' : 'are'} not podwright's`;
  return `${path} stays, empty: podwright did not make it`;
}

function namesIn(directory: TreeDirectory): readonly Buffer[] {
  const names: Buffer[] = [];
  for (let position = 0n; ;) {
    const entries = directory.read(position);
    const last = entries.at(-1);
    if (last === undefined) return names;
    names.push(...entries.map(({ name }) => name));
    position = last.next;
  }
}

/** Locks of ourselves and of the programs whose directories lie in it. */
function refuseIfUsed(path: string, role: OwnedRole, names: readonly Buffer[]): void {
  const inside = names.flatMap((each) => {
    const name = each.toString();
    if (role !== 'up' || !isEntryOf('up', name)) return [];
    return [`${path}/${name}/${markerName('server')}`, `${path}/${name}/${markerName('agent')}`];
  });
  for (const file of [`${path}/${markerName(role)}`, ...inside]) {
    if (lstatIfThere(file)?.isFile() !== true) continue;
    try {
      lockFile(file)[Symbol.dispose]();
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY') throw error;
      throw new PodwrightError(
        'E_BUSY',
        `remove ${path}: a process of podwright uses ${dirname(file)}; stop it first`,
      );
    }
  }
}

/** By what it is seen through: a bind mount of the same file system is one, too. */
function isMountPoint(path: string): boolean {
  using parent = createTrees().open(dirname(path));
  try {
    parent.openDirectory(Buffer.from(basename(path)))[Symbol.dispose]();
    return false;
  } catch (error) {
    if (errnoOf(error) === 'EXDEV') return true;
    throw error;
  }
}
