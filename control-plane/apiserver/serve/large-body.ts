import { createTurns } from '#base/turns.ts';
import type { ApiRequest } from './request.ts';
import { sweepIfGrown } from '#base/memory/sweep.ts';
import { nextTurn } from '#base/time-slice.ts';

/** From so many bytes on, a body is worked on in steps, and one at a time: each step may take a tenth of a second. */
export const largeBytesMin = 65_536;

/** Of the process and not of a server: they share one event loop. */
const turns = createTurns();

/** Work on a request with a body. */
export interface BodyWork {
  /** Between two steps: lets the event loop go round. undefined where the body is small, which is not to wait at all. */
  readonly pause: (() => Promise<void>) | undefined;
  readonly isLarge: boolean;
}

const small: BodyWork = { pause: undefined, isLarge: false };
const large: BodyWork = { pause: nextTurn, isLarge: true };

/**
 * Does the work on a body, in its turn if it is large: `bytes` of the body, and of what it is merged into.
 *
 * @throws the reason of the signal, where the client has gone before it is its turn
 */
export async function workOnBody<T>(
  { bytes, request }: { readonly bytes: number; readonly request: Pick<ApiRequest, 'signal'> },
  work: (body: BodyWork) => Promise<T>,
): Promise<T> {
  if (bytes < largeBytesMin) return work(small);
  using _turn = await turns.take('large');

  // All that waits for the event loop's own turn runs in one: the next of the queue begins with a new one.
  await nextTurn();
  request.signal.throwIfAborted();
  try {
    return await work(large);
  } finally {
    sweepIfGrown();
  }
}
