/** What a user is told of a command that cannot be executed. Pure. */
import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import type { ProgramOp } from './program.ts';

/** The last op of every program: by now all but the command itself is in order. */
export function isExecve(op: ProgramOp | undefined): boolean {
  return op?.name === 'execvePath';
}

/**
 * As other runtimes word it, which is what people search for: `exec: "xyz": executable file not found in $PATH` (os/exec's LookPath).
 * A name without a slash may have been found there and want an interpreter that is missing: the errno is the same.
 */
export function renderExecFailure(args: readonly string[], errno: string): string {
  const name = args[0] ?? '';
  const isSearched = errno === 'ENOENT' && !name.includes('/');
  const why = isSearched ? 'executable file not found in $PATH' : messageOf(errno);
  return `exec: ${JSON.stringify(name)}: ${why}`;
}

function messageOf(errno: string): string {
  const number = Object.entries(constants.errno).find(([name]) => name === errno)?.[1];
  return number === undefined ? errno : getSystemErrorMessage(-number);
}
