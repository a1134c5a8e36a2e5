import { PodwrightError } from '#base/errors.ts';

/** What is wrong with a field of a configuration. */
export function wrong(field: string, what: string): PodwrightError {
  return new PodwrightError('E_INVALID', `${field}: ${what}`);
}
