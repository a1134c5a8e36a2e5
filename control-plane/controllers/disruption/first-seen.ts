import type { Clock } from '#base/clock.ts';

/** For how many milliseconds each is known. */
export type Waited = ReadonlyMap<string, number>;

/**
 * Since when this process knows of what others date: their clocks may be minutes ahead of, or behind, its own, and what is only to be
 * waited for is not over because of that. Who starts anew waits anew.
 */
export class FirstSeen {
  readonly #clock: Clock;
  readonly #seen = new Map<string, ReadonlyMap<string, { readonly mark: string; readonly atMs: number }>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `marks`: all that there is of the key now, by name; one that is marked otherwise than before is another. */
  waited(key: string, marks: Readonly<Record<string, string>>): Waited {
    const nowMs = this.#clock.monotonic();
    const before = this.#seen.get(key);
    const now = new Map(
      Object.entries(marks).map(([name, mark]) => {
        const known = before?.get(name);
        return [name, known?.mark === mark ? known : { mark, atMs: nowMs }] as const;
      }),
    );
    if (now.size === 0) this.#seen.delete(key);
    else this.#seen.set(key, now);
    return new Map([...now].map(([name, { atMs }]) => [name, nowMs - atMs]));
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
