import { performance } from 'node:perf_hooks';
import { nextTurn } from './time-slice.ts';

/** How long requests may begin in one turn of the event loop: what they do before they first wait is a part of it. */
const sliceMs = 8;

/**
 * When requests begin. One read of an HTTP/2 connection may bring a thousand, which Node hands over in one turn of the event loop;
 * done at once, nobody else would be served meanwhile. What has no time in this turn waits for the next: of each connection one,
 * in turns, so that a connection with many waits for itself. Most of what a client resets at once has gone by then.
 */
export class RequestTurns {
  readonly #waiting = new Map<object, (() => void)[]>();
  /** The turn of the event loop that requests began in last, and since when. */
  #turn = -1;
  #startMs = 0;
  #isDraining = false;

  /** Begins it now or later. What is `urgent` (a health check) waits for nobody. */
  begin(connection: object, start: () => void, { isUrgent }: { readonly isUrgent: boolean }): void {
    if (isUrgent || (this.#waiting.size === 0 && this.#hasTime())) {
      start();
      return;
    }
    const own = this.#waiting.get(connection);
    if (own === undefined) this.#waiting.set(connection, [start]);
    else own.push(start);
    if (!this.#isDraining) void this.#drain();
  }

  #hasTime(): boolean {
    const turn = performance.nodeTiming.uvMetricsInfo.loopCount;
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#startMs = performance.now();
      return true;
    }
    return performance.now() - this.#startMs < sliceMs;
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    while (this.#waiting.size > 0) {
      if (!this.#hasTime()) await nextTurn();
      this.#takeFirst()?.();
      await undefined; // What it does next is done before the time is looked at again.
    }
    this.#isDraining = false;
  }

  /** The first of the connection that has waited longest, which then is the last. */
  #takeFirst(): (() => void) | undefined {
    const [connection, own] = this.#waiting.entries().next().value ?? [];
    if (connection === undefined || own === undefined) return undefined;
    this.#waiting.delete(connection);
    const start = own.shift();
    if (own.length > 0) this.#waiting.set(connection, own);
    return start;
  }
}
