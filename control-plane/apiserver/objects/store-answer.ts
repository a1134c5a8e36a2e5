import type { Kind } from '#api/schema/kinds.ts';
import { serverTimeout, serviceUnavailable, statusError, timeout } from '#api/errors/status.ts';
import { isPodwrightError, type ErrorCode } from '#base/errors.ts';

/*
 * What the store refuses, as the API tells it. A store elsewhere may give no answer (E_CONNECTION, E_TIMEOUT). Of a read that is 500
 * ServerTimeout with Retry-After, which clients wait out and ask again by themselves (client-go: any 5xx that says when). A write may
 * have been carried out all the same: 504 Timeout without Retry-After, so that nobody's library sends it twice.
 */

/** The store says what happened, and where: a full disk, one that is read-only, damage. */
const failures: ReadonlySet<ErrorCode> = new Set(['E_NO_SPACE', 'E_PERMISSION', 'E_DAMAGED']);
const silences: ReadonlySet<ErrorCode> = new Set(['E_CONNECTION', 'E_TIMEOUT']);

/** The answer of the store to a write, its refusals as the API tells them. */
export async function storing<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isPodwrightError(error) && failures.has(error.code)) {
      throw statusError(500, 'InternalError', `Internal error occurred: ${error.message}`);
    }
    if (isPodwrightError(error) && silences.has(error.code)) {
      throw timeout(`the store gave no answer, and may have written all the same: ${error.message}`);
    }
    if (isPodwrightError(error, 'E_CLOSED')) throw serviceUnavailable('the server is shutting down');
    throw error;
  }
}

/** Of a read; where it is not for one kind, without. */
export async function reading<T>(
  answer: Promise<T>,
  kind: Kind | undefined,
  operation: 'get' | 'list',
): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isPodwrightError(error) && silences.has(error.code)) throw serverTimeout(kind, operation);
    throw error;
  }
}
