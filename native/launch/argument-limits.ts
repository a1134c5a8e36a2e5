/** What execve(2) takes of arguments and environment (execve(2), "Limits on size of arguments and environment"). Pure. */
import { PodwrightError } from '#base/errors.ts';

/** Bytes of one string without its NUL: MAX_ARG_STRLEN of linux/binfmts.h, 32 pages. */
export const argumentBytesMax = 131_071;

/**
 * Bytes of all strings and of the pointers to them: a quarter of the stack's limit (fs/exec.c, bprm_stack_limits), of the 8 MiB that the
 * kernel and every distribution begin with.
 */
export const argumentsBytesMax = 2_097_152;

/** What a string counts beside its bytes: its NUL, and its pointer. */
export const argumentOverheadBytes = 9;

/** What to do about it, for a message. */
export const argumentsRemedy = 'give less, or in a file of a volume';

/**
 * Checks what is about to be executed, so that the reason has a name: the kernel says E2BIG and no more.
 * @throws E_LIMIT with the name of the variable or the number of the argument
 */
export function checkArguments(args: readonly string[], env: readonly string[]): void {
  let total = 0;
  const count = (text: string, name: () => string): void => {
    const length = Buffer.byteLength(text);
    if (length > argumentBytesMax) {
      const message = `${name()}: ${length} bytes, at most ${argumentBytesMax} in one string (MAX_ARG_STRLEN); ${argumentsRemedy}`;
      throw new PodwrightError('E_LIMIT', message);
    }
    total += length + argumentOverheadBytes;
    if (total > argumentsBytesMax) throw tooManyArguments(name());
  };
  for (const [index, text] of args.entries()) count(text, () => `argument ${index}`);
  for (const text of env) count(text, () => `environment variable ${text.slice(0, nameEnd(text))}`);
}

/** With `name` all that came before it, and itself, is more than the kernel takes. */
export function tooManyArguments(name: string): PodwrightError {
  return new PodwrightError(
    'E_LIMIT',
    `${name}: arguments and environment up to it have more than ${argumentsBytesMax} bytes, which is what the kernel takes together; ${argumentsRemedy}`,
  );
}

const nameShownMax = 64;

function nameEnd(assignment: string): number {
  const equals = assignment.indexOf('=');
  return Math.min(equals < 0 ? assignment.length : equals, nameShownMax);
}
