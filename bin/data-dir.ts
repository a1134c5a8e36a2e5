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
