import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

import { errnoOf, PodwrightError, type ErrorCode } from '#base/errors.ts';

const reasons: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOTDIR: ['E_USAGE', 'it is no directory, or lies in what is none; name another with --data'],
  EEXIST: ['E_USAGE', 'it is no directory; name another with --data'],
  EROFS: ['E_UNSUPPORTED', 'the file system is read-only; name another directory with --data'],
  EACCES: ['E_PERMISSION', "it is root's; try sudo"],
  EPERM: ['E_PERMISSION', 'the file system does not permit it; name another directory with --data'],
  ENOSPC: ['E_NO_SPACE', 'no space left; free some, or name another directory with --data'],
  EDQUOT: ['E_NO_SPACE', 'no space left; free some, or name another directory with --data'],
};

/** What went wrong with a data directory, and what to do about it. Pure. What is no errno passes. */
export function dataDirError(dataDir: string, cause: unknown): unknown {
  const errno = errnoOf(cause);
  if (errno === undefined) return cause;
  const [code, reason] = reasons[errno] ?? ['E_KERNEL', errno];
  // Without the cause: its own words name a file of ours below, which tells a person nothing more.
  return new PodwrightError(code, `use ${dataDir} as data directory: ${reason}`, { detail: { errno } });
}

/**
 * What the kernel says of a full disk names no place (write(2) knows none): the data directory is told, unless the error names a
 * file elsewhere. Anything else passes, as do errors that are said already. Pure.
 */
export function diskFullError(dataDir: string, error: unknown): unknown {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
  if (!isFull || error instanceof PodwrightError) return error;
  const path = error instanceof Error && 'path' in error ? error.path : undefined;
  const isElsewhere = typeof path === 'string' && !`${path}/`.startsWith(`${dataDir}/`);
  return isElsewhere ? error : dataDirError(dataDir, error);
}

/** Makes the directory where there is none, and sees that it can be written to. At start only: it blocks. @throws see dataDirError */
export function ensureDataDir(dataDir: string, mode: number): void {
  try {
    makeDirectory(dataDir, mode);
    accessSync(`${dataDir}/.`, constants.W_OK); // With the dot: of a file it is ENOTDIR.
  } catch (error) {
    throw dataDirError(dataDir, error);
  }
}

/** One after the other: of a recursive mkdir Node says ENOENT where the file system is read-only. */
function makeDirectory(path: string, mode: number): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path), 0o755);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error; // Another program of ours was faster.
  }
}
