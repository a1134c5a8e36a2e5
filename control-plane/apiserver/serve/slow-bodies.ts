import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Readable } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import { LinkedList, type Place } from '#base/memory/linked-list.ts';

/** A body that is on its way. */
export type IncomingBody = Readable & Pick<IncomingMessage | ServerHttp2Stream, 'setTimeout'>;

interface Open {
  readonly body: IncomingBody;
  /** Whether it has a time-out. */
  isArmed: boolean;
}

/** A body that is read, as `SlowBodies` knows it. */
export type SlowBody = Place<Open>;

const lookEveryMs = 1_000;

/**
 * Bodies that have not come to their end. Nearly all have before anybody looks: each costs a place in a list, and only those that are
 * still there after a while get a time-out.
 */
export class SlowBodies {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #open = new LinkedList<Open>();
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
  add(body: IncomingBody): SlowBody {
    if (!this.#isLooking) this.#lookLater();
    return this.#open.add({ body, isArmed: false });
  }

  /** It has ended, or nobody reads it any more. */
  remove(slow: SlowBody): void {
    if (this.#open.remove(slow) && slow.value.isArmed) slow.value.body.setTimeout(0);
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.#clock.after(lookEveryMs, () => {
      this.#isLooking = false;
      for (const { value: open } of this.#open.places()) {
        if (open.isArmed) continue;
        open.isArmed = true;
        open.body.setTimeout(this.#idleMs, () => open.body.destroy());
      }
      if (this.#open.size > 0) this.#lookLater();
    });
  }
}
