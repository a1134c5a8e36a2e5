import { nextTurn, promisesSettled, TurnTime } from '#base/time-slice.ts';

/**
 * When requests begin; what they do before they first wait is a part of the turn. One read of an HTTP/2 connection may bring a thousand, which Node hands over in one turn of the event loop, as a
 * controller asks for five hundred pods; done at once, nobody else would be served meanwhile. What has no time in this turn waits for the next: of each connection one,
 * in turns, so that a connection with many waits for itself. Most of what a client resets at once has gone by then.
 */
export class RequestTurns {
  readonly #waiting = new Map<object, (() => void)[]>();
  readonly #time = new TurnTime();
  #isDraining = false;
  /** What the last one that began does at once has not been done yet, so that its time is not known. */
  #isBeginning = false;

  /** Begins it now or later. What is `urgent` (a health check) waits for nobody. */
  begin(connection: object, start: () => void, { isUrgent }: { readonly isUrgent: boolean }): void {
    if (isUrgent) {
      start();
      return;
    }
    if (this.#waiting.size === 0 && !this.#isBeginning && this.#time.isLeft()) {
      this.#isBeginning = true;
      process.nextTick(() => (this.#isBeginning = false)); // As promisesSettled().
      start();
      return;
    }
    const own = this.#waiting.get(connection);
    if (own === undefined) this.#waiting.set(connection, [start]);
    else own.push(start);
    if (!this.#isDraining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    await promisesSettled();
    while (this.#waiting.size > 0) {
      while (!this.#time.isLeft()) await nextTurn();
      this.#takeFirst()?.();
      await promisesSettled(); // What it does at once is done before the time is looked at again.
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
