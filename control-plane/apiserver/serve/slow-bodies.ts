import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Clock } from '#base/clock.ts';

/** A body that is on its way. */
export type IncomingBody = Readable & Pick<IncomingMessage | ServerHttp2Stream, 'setTimeout'>;

const lookEveryMs = 1_000;

/**
 * Bodies that have not come to their end. Nearly all have before anybody looks: each costs a place in a set, and only those that are
 * still there after a while get a time-out.
 */
export class SlowBodies {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #open = new Set<IncomingBody>();
  readonly #armed = new Set<IncomingBody>();
  #isLooking = false;

  /** @param idleMs a client that stops in the middle of its body for so long is cut off */
  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Before it is read. */
  add(body: IncomingBody): void {
    this.#open.add(body);
    if (!this.#isLooking) this.#lookLater();
  }

  /** It has ended, or nobody reads it any more. */
  remove(body: IncomingBody): void {
    this.#open.delete(body);
    if (this.#armed.delete(body)) body.setTimeout(0);
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.#clock.after(lookEveryMs, () => {
      this.#isLooking = false;
      for (const body of this.#open) {
        if (this.#armed.has(body)) continue;
        this.#armed.add(body);
        body.setTimeout(this.#idleMs, () => body.destroy());
      }
      if (this.#open.size > 0) this.#lookLater();
    });
  }
}
