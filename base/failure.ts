import { describeError, isPodwrightError, PodwrightError, type ErrorCode } from './errors.ts';

/** An error as it goes to another thread or process: its code, one line for a person, and what the kernel said. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** What is not ours is E_INTERNAL. */
export function failureOf(error: unknown): Failure {
  const message = describeError(error);
  return isPodwrightError(error)
    ? { code: error.code, message, detail: error.detail }
    : { code: 'E_INTERNAL', message };
}

export function errorOf({ code, message, detail = {} }: Failure): PodwrightError {
  return new PodwrightError(code, message, { detail });
}
