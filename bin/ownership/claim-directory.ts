import { randomUUID } from 'node:crypto';
import { accessSync, constants, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { errnoOf, PodwrightError } from '#base/errors.ts';
import { protectedPathProblem } from '#native/fs/protected-path.ts';
import { lockFile } from '#native/sys/file.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { dataDirError, ensureDataDir } from '#bin/program/data-dir.ts';
import {
  directoryProblem,
  lstatIfThere,
  readMarker,
  readOnlyProblem,
  writeMarker,
  type Marker,
} from './marker.ts';
import {
  evidenceOf,
  foreignEntries,
  givenName,
  isGiven,
  markerName,
  programOf,
  type OwnedRole,
} from './role.ts';

/** A directory of ours in use. Disposing it lets others use it; the directory stays. */
export interface Claim extends Disposable {
  readonly marker: Marker;
  /** There was no such directory before. */
  readonly isNew: boolean;
  /** The descriptor whose lock says that it is in use: a process that inherits it holds the claim as well. */
  readonly fd: number;
}

export interface ClaimOptions {
  readonly role: OwnedRole;
  /** Of a directory that is made. */
  readonly mode: number;
  /** The option that named it, for messages: `--data`. */
  readonly option: string;
}

/**
 * Makes a directory ours and holds it: one that is not there, an empty one, or one that has our marker (or, from before there
 * were markers, files that only we write). At start only: it blocks. Nothing in a directory of somebody else is touched.
 *
 * @throws E_USAGE (a directory of the system or with files of others), E_PERMISSION (not ours to write), E_BUSY (in use),
 *   and what dataDirError tells
 */
export function claimDirectory(path: string, options: ClaimOptions): Claim {
  const { role, mode, option } = options;
  const refuse = refuser(path, option);
  const problem = protectedPathProblem(path, homeDirectories());
  if (problem !== undefined) throw refuse('E_USAGE', problem);
  const owner = process.geteuid?.() ?? 0;
  const before = lstatIfThere(path);
  // A link that an administrator made is followed; what it leads to has to be as good.
  const isNew = before === undefined;
  ensureDataDir(path, mode);
  const stats = lstatIfThere(`${path}/.`) ?? before;
  const unfit = stats === undefined ? 'it is gone again' : directoryProblem(stats, owner);
  if (unfit !== undefined) throw refuse('E_PERMISSION', unfit);
  try {
    const marker = markDirectory(path, { role, owner, isNew, refuse });
    const lock = takeLock(path, role, refuse);
    return {
      marker,
      isNew,
      get fd() {
        return lock.fd;
      },
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    };
  } catch (error) {
    if (isNew) removeIfEmpty(path);
    throw dataDirError(path, error);
  }
}

/** Of a directory that was made for nothing. What somebody put there meanwhile stays, and it. */
function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // What is told is why it could not be used.
  }
}

/**
 * Whether `claimDirectory` would take it, as far as can be told without making anything.
 * @throws as claimDirectory
 */
export function checkClaim(path: string, { role, option }: Pick<ClaimOptions, 'role' | 'option'>): void {
  const refuse = refuser(path, option);
  const problem = protectedPathProblem(path, homeDirectories());
  if (problem !== undefined) throw refuse('E_USAGE', problem);
  const owner = process.geteuid?.() ?? 0;
  if (lstatIfThere(path) === undefined) {
    checkParent(path);
    return;
  }
  const stats = lstatIfThere(`${path}/.`);
  const unfit =
    stats === undefined ? 'it is no directory' : (readOnlyProblem(path) ?? directoryProblem(stats, owner));
  if (unfit !== undefined) throw refuse('E_PERMISSION', unfit);
  if (readMarker(path, role, owner) !== undefined || isFromBeforeMarkers(path, role, owner)) return;
  const foreign = foreignIn(path, role, owner);
  if (foreign.length > 0)
    throw refuse('E_USAGE', `it holds files that are not podwright's (${listSome(foreign)})`);
}

/** The nearest directory above that there is has to let one be made in it. */
function checkParent(path: string): void {
  try {
    let above = dirname(path);
    while (lstatIfThere(above) === undefined) above = dirname(above);
    accessSync(`${above}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw dataDirError(path, error);
  }
}

type Refuse = (code: 'E_USAGE' | 'E_PERMISSION' | 'E_BUSY', why: string) => PodwrightError;

const refuser =
  (path: string, option: string): Refuse =>
  (code, why) =>
    new PodwrightError(code, `use ${path} as ${option}: ${why}; name another directory with ${option}`);

function markDirectory(
  path: string,
  context: {
    readonly role: OwnedRole;
    readonly owner: number;
    readonly isNew: boolean;
    readonly refuse: Refuse;
  },
): Marker {
  const { role, owner, isNew, refuse } = context;
  const known = readMarker(path, role, owner);
  if (known !== undefined) return known;
  const foreign = foreignIn(path, role, owner);
  if (foreign.length > 0 && !isFromBeforeMarkers(path, role, owner)) {
    throw refuse('E_USAGE', `it holds files that are not podwright's (${listSome(foreign)})`);
  }
  const marker: Marker = { version: 1, role, id: randomUUID(), made: isNew };
  writeMarker(path, marker);
  return marker;
}

/** Names in a directory without our marker that say it is somebody else's. */
function foreignIn(path: string, role: OwnedRole, owner: number): readonly string[] {
  const foreign = foreignEntries(readdirSync(path), role);
  const given = givenName(role);
  if (given === undefined || !foreign.includes(given)) return foreign;
  const found = lstatIfThere(join(path, given));
  const isOurs =
    found?.isDirectory() === true && found.uid === owner && isGiven(role, readdirSync(join(path, given)));
  return isOurs ? foreign.filter((name) => name !== given) : foreign;
}

/** Directories from before there were markers are known by files that nobody else writes, all of them the owner's. */
export function isFromBeforeMarkers(path: string, role: OwnedRole, owner: number): boolean {
  const isThere = (name: string): boolean => {
    const found = lstatIfThere(join(path, name));
    return found !== undefined && !found.isSymbolicLink() && found.uid === owner;
  };
  return evidenceOf(role).some((names) => names.every(isThere));
}

function takeLock(path: string, role: OwnedRole, refuse: Refuse): OwnedFd {
  try {
    return lockFile(join(path, markerName(role)));
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error;
    throw refuse('E_BUSY', `podwright ${programOf(role)} uses it already`);
  }
}

const namesShown = 3;

export function listSome(names: readonly string[]): string {
  const shown = names.slice(0, namesShown).join(', ');
  return names.length > namesShown ? `${shown} and ${names.length - namesShown} more` : shown;
}

const uidOfUsersMin = 1000;

/** Of root and of people; passwd(5). Those of services are the services' own directories, ours perhaps. */
export function homeDirectories(): readonly string[] {
  let text: string;
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return ['/root']; // A root file system without users.
  }
  const homes = text.split('\n').flatMap((line) => {
    const [, , uid, , , home = ''] = line.split(':');
    const isPerson = uid === '0' || Number(uid) >= uidOfUsersMin;
    return isPerson && /^\/./.test(home) && home !== '/nonexistent' ? [home.replace(/\/+$/, '')] : [];
  });
  return [...new Set([...homes, '/root'])];
}
