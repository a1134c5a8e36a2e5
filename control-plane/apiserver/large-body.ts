import { createTurns } from '#base/turns.ts';
import { nextTurn } from './time-slice.ts';

/** From so many bytes on, a body is worked on in steps, and one at a time: each step may take a tenth of a second. */
export const largeBytesMin = 65_536;

const turns = createTurns();

/** Work on a request with a body. */
export interface BodyWork {
  /** Between two steps: lets the event loop go round, where the body is large. */
  readonly pause: () => Promise<void>;
  readonly isLarge: boolean;
}

const small: BodyWork = { pause: () => Promise.resolve(), isLarge: false };
const large: BodyWork = { pause: nextTurn, isLarge: true };

/** Does the work on a body, in its turn if it is large: `bytes` of the body, and of what it is merged into. */
export async function workOnBody<T>(bytes: number, work: (body: BodyWork) => Promise<T>): Promise<T> {
  if (bytes < largeBytesMin) return work(small);
  using _turn = await turns.take('large');

  // All that waits for the event loop's own turn runs in one: the next of the queue begins with a new one.
  await nextTurn();
  return await work(large);
}
