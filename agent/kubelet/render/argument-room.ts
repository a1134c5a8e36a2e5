/** Room for a container's arguments and environment, so that nothing is ever made that execve(2) would not take. Pure. */
import { expandVariables } from '#api/pod/expand.ts';
import { PodwrightError } from '#base/errors.ts';
import {
  argumentBytesMax,
  argumentOverheadBytes,
  argumentsBytesMax,
  argumentsRemedy,
  tooManyArguments,
} from '#native/launch/argument-limits.ts';

export interface ArgumentRoom {
  /** Counts a string, by its bytes. @throws E_LIMIT, with `what` it is, when there is no room for it */
  take(bytes: number, what: string): void;
}

/** What a later one of the same name replaces counts as well: it was made. */
export function createArgumentRoom(): ArgumentRoom {
  let total = 0;
  return {
    take: (bytes, what) => {
      if (bytes > argumentBytesMax) throw tooLong(what);
      total += bytes + argumentOverheadBytes;
      if (total > argumentsBytesMax) throw tooManyArguments(what);
    },
  };
}

/** The text with its `$(NAME)` replaced, no longer than one string may be. @throws E_LIMIT, with `what` it is */
export function expandWithin(
  text: string,
  valueOf: (name: string) => string | undefined,
  what: string,
): string {
  const expanded = expandVariables(text, valueOf, argumentBytesMax);
  if (expanded === undefined) throw tooLong(what);
  return expanded;
}

function tooLong(what: string): PodwrightError {
  const message = `${what}: more than ${argumentBytesMax} bytes, which is what the kernel takes in one string (MAX_ARG_STRLEN); ${argumentsRemedy}`;
  return new PodwrightError('E_LIMIT', message);
}
