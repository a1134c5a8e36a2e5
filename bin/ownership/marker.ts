import {
  accessSync,
  closeSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  constants,
  writeSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';

import { syncDirectorySync } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { markerName, type OwnedRole } from './role.ts';

/** DIR/.podwright-ROLE: that the directory is ours to clear, and since when. */
export interface Marker {
  readonly version: 1;
  readonly role: OwnedRole;
  readonly id: string; // a UUID
  /** The directory was made by us, so that it may go itself. */
  readonly made: boolean;
}

const bytesMax = 4096;

/** Pure. undefined when it is none of ours. */
export function parseMarker(text: string, role: OwnedRole): Marker | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { version, role: found, id, made } = value as Partial<Record<keyof Marker, unknown>>;
  if (version !== 1 || found !== role || typeof id !== 'string' || !/^[0-9a-f-]{36}$/.test(id))
    return undefined;
  return { version, role, id, made: made === true };
}

/**
 * The marker in a directory; undefined when there is none. One that is not a plain file of the owner's, writable by nobody
 * else, says nothing. @throws E_INVALID
 */
export function readMarker(directory: string, role: OwnedRole, owner: number): Marker | undefined {
  const path = join(directory, markerName(role));
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new PodwrightError('E_INVALID', `read ${path}: ${errnoOf(error) ?? 'no marker'}`, { cause: error });
  }
  try {
    const problem = fileProblem(fstatSync(file), owner);
    if (problem !== undefined) throw new PodwrightError('E_INVALID', `trust ${path}: ${problem}`);
    const marker = parseMarker(readFileSync(file, 'utf8').slice(0, bytesMax), role);
    if (marker === undefined)
      throw new PodwrightError(
        'E_INVALID',
        `read ${path}: it is damaged; remove it if the directory is podwright's`,
      );
    return marker;
  } finally {
    closeSync(file);
  }
}

/** The id of a directory that is marked as this process's own user's; undefined where it is not, or not there. @throws E_INVALID */
export function markerIdOf(directory: string, role: OwnedRole): string | undefined {
  return readMarker(directory, role, process.geteuid?.() ?? 0)?.id;
}

/** Why a file cannot be one that only its owner wrote. Pure. */
export function fileProblem(stats: Stats, owner: number): string | undefined {
  if (!stats.isFile()) return 'it is no plain file';
  if (stats.uid !== owner) return `it belongs to uid ${stats.uid}, not to ${nameOf(owner)}`;
  if ((stats.mode & 0o002) !== 0) return 'everybody may write to it';
  if ((stats.mode & 0o020) !== 0 && stats.gid !== 0) return `group ${stats.gid} may write to it`;
  if (stats.size > bytesMax * 256) return `it is ${stats.size} bytes large`;
  return undefined;
}

/** Why nothing can be changed in a directory, by whomever: of a file system that is read-only its modes are, too. */
export function readOnlyProblem(path: string): string | undefined {
  try {
    accessSync(`${path}/.`, constants.W_OK);
  } catch (error) {
    if (errnoOf(error) === 'EROFS') return 'its file system is read-only; mount it read-write first';
  }
  return undefined;
}

/** Why a directory cannot be one that only its owner changes. Pure. */
export function directoryProblem(stats: Stats, owner: number): string | undefined {
  if (stats.isSymbolicLink()) return 'it is a symbolic link; name what it leads to';
  if (!stats.isDirectory()) return 'it is no directory';
  if (stats.uid !== owner) return `it belongs to uid ${stats.uid}, not to ${nameOf(owner)}`;
  if ((stats.mode & 0o002) !== 0) return 'everybody may write to it; chmod go-w it first';
  if ((stats.mode & 0o020) !== 0 && stats.gid !== 0)
    return `group ${stats.gid} may write to it; chmod go-w it first`;
  return undefined;
}

const nameOf = (uid: number): string => (uid === 0 ? 'root' : `uid ${uid}`);

/** undefined when there is nothing, nor can be. */
export function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Makes the marker; there must be none. */
export function writeMarker(directory: string, marker: Marker): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const path = join(directory, markerName(marker.role));
  const file = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeSync(file, `${JSON.stringify(marker)}\n`);
    fsyncSync(file);
  } catch (error) {
    rmSync(path, { force: true }); // No space: half a marker would be a damaged one.
    throw error;
  } finally {
    closeSync(file);
  }
  syncDirectorySync(directory);
}
