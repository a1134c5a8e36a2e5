import { PodwrightError } from '#base/errors.ts';
import type { WatchInterest } from '#control-plane/store/store.ts';

/** What an event is about that cannot be read, or not yet: for all that anybody knows, all that somebody watches. */
export class SealedTopics {
  readonly topicsOf: WatchInterest['topicsOf'];
  readonly #watched = new Map<string, number>();

  constructor(topicsOf: WatchInterest['topicsOf']) {
    this.topicsOf = (event) => {
      try {
        return topicsOf(event);
      } catch {
        return [...this.#watched.keys()]; // Each of them is told why, or waits.
      }
    };
  }

  add(topic: string): void {
    this.#watched.set(topic, (this.#watched.get(topic) ?? 0) + 1);
  }

  delete(topic: string): void {
    const left = (this.#watched.get(topic) ?? 0) - 1;
    if (left > 0) this.#watched.set(topic, left);
    else this.#watched.delete(topic);
  }
}

/** What a watch is ended with. */
export function asFailure(error: unknown): PodwrightError {
  return error instanceof PodwrightError
    ? error
    : new PodwrightError('E_INTERNAL', 'watch store: a value cannot be read', { cause: error });
}
