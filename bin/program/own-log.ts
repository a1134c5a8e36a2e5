/**
 * The log file of a program of ours, which whoever started it opened as its standard output and error: the program rotates it
 * itself, so that it has a bound whatever becomes of its parent.
 *
 *     agent.log.new made ─ agent.log.2 → .3, .1 → .2 ─ agent.log → .1 ─ agent.log.new → agent.log ─ dup2 onto 1 and 2
 *
 * Cut off anywhere, the next start opens agent.log, and the next rotation goes on with what it finds. A disk that is full fails
 * at the first step, and nothing is changed.
 */
import { closeSync, fstatSync, openSync, renameSync, statSync } from 'node:fs';

import { errnoOf } from '#base/errors.ts';

/** Set by who starts a program on a log file: its path. */
export const logFileVariable = 'PODWRIGHT_LOG_FILE';

export interface OwnLogLimits {
  readonly sizeBytesMax: number;
  /** Older ones, `.1` the newest. */
  readonly rotatedMax: number;
}

const defaultLimits: OwnLogLimits = { sizeBytesMax: 10 * 1024 * 1024, rotatedMax: 3 };

/** A rotation that failed is tried again after so many bytes more. */
const retryBytes = 64 * 1024;

const stdoutFd = 1;
const stderrFd = 2;

export interface OwnLog {
  /** So many bytes were written to standard output. */
  note(bytes: number): void;
}

/** Undefined when standard output is something else: a terminal, the journal. */
export function findOwnLog(
  environment: NodeJS.ProcessEnv,
  limits: OwnLogLimits = defaultLimits,
): OwnLog | undefined {
  const path = environment[logFileVariable];
  if (path === undefined || !isStdout(path)) return undefined;
  let left = limits.sizeBytesMax - fstatSync(stdoutFd).size;
  let isRotating = false;
  const rotateSoon = (): void => {
    isRotating = true;
    // Loaded when it is needed, which is rarely: a server has no other use for it.
    void import('#native/sys/libc.ts')
      .then(({ dup2 }) => {
        rotateOwnLog(path, limits.rotatedMax, (fd) => {
          for (const target of [stdoutFd, stderrFd]) dup2(fd, target);
        });
        left = limits.sizeBytesMax;
      })
      // Where it would be told is what is broken: it is tried again later.
      .catch(() => (left = retryBytes))
      .finally(() => (isRotating = false));
  };
  return {
    note: (bytes) => {
      left -= bytes;
      if (left <= 0 && !isRotating) rotateSoon();
    },
  };
}

/** Moves the log and older ones on, and hands over a descriptor of the new one, which is closed after. */
export function rotateOwnLog(path: string, rotatedMax: number, take: (fd: number) => void): void {
  const fd = openSync(`${path}.new`, 'a', 0o600);
  try {
    for (let number = rotatedMax - 1; number >= 1; number--)
      move(`${path}.${number}`, `${path}.${number + 1}`);
    move(path, `${path}.1`);
    renameSync(`${path}.new`, path);
    take(fd);
  } finally {
    closeSync(fd);
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function isStdout(path: string): boolean {
  try {
    const [own, named] = [fstatSync(stdoutFd), statSync(path)];
    return own.ino === named.ino && own.dev === named.dev;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}
