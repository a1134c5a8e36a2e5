import type { Clock } from '#base/clock.ts';
import { LinkedList, type Place } from '#base/memory/linked-list.ts';
import type { ApiRequest, ApiResponse, ByteSink } from '#control-plane/apiserver/serve/request.ts';

/** A client that takes nothing of its answer for this long gives its seat away; the rest is sent without one (kubernetes #115409). */
const lagMsMax = 500;
/** However fast it reads: how long the answer to one request may be made on its seat. */
const streamedMsMax = 10_000;
const lookMs = 250;

interface Streamed {
  readonly seat: Seat;
  readonly untilMs: number;
  /** Since when its client takes nothing; Infinity: it does. */
  lagsSinceMs: number;
}

/** Seats of answers that are made while they are sent. One timer looks at all of them, while there are any. */
export class StreamedSeats {
  readonly #clock: Clock;
  readonly #open = new LinkedList<Streamed>();
  #isLooking = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The same body, with whose end the seat ends, if not before. */
  keep(seat: Seat, body: (sink: ByteSink) => Promise<void>): (sink: ByteSink) => Promise<void> {
    const streamed = this.#open.add({
      seat,
      untilMs: this.#clock.monotonic() + streamedMsMax,
      lagsSinceMs: Infinity,
    });
    if (!this.#isLooking) this.#lookLater();
    return async (sink) => {
      try {
        await body(this.#watched(streamed.value, sink));
      } finally {
        this.#end(streamed);
      }
    };
  }

  #watched(streamed: Streamed, sink: ByteSink): ByteSink {
    return {
      write: (bytes, sent) => sink.write(bytes, sent),
      drained: async () => {
        streamed.lagsSinceMs = this.#clock.monotonic();
        await sink.drained();
        streamed.lagsSinceMs = Infinity;
      },
      get pendingBytes() {
        return sink.pendingBytes;
      },
    };
  }

  #end(streamed: Place<Streamed>): void {
    this.#open.remove(streamed);
    streamed.value.seat.end();
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.#clock.after(lookMs, () => {
      const nowMs = this.#clock.monotonic();
      for (const streamed of this.#open.places()) {
        const { seat, untilMs, lagsSinceMs } = streamed.value;
        if (seat.isOver || nowMs >= untilMs || nowMs - lagsSinceMs >= lagMsMax) this.#end(streamed);
      }
      this.#isLooking = false;
      if (this.#open.size > 0) this.#lookLater();
    });
  }
}

/** What a request has while it is worked on. */
export class Seat {
  /** Of a request that takes none. */
  static readonly none: Seat = new Seat({});
  /** What its answer says besides. */
  readonly headers: Readonly<Record<string, string>>;
  readonly #streamed: StreamedSeats | undefined;
  #onEnd: (() => void) | undefined;
  #isKept = false;

  constructor(headers: Seat['headers'], streamed?: StreamedSeats, onEnd?: () => void) {
    this.headers = headers;
    this.#streamed = streamed;
    this.#onEnd = onEnd;
  }

  get isOver(): boolean {
    return this.#onEnd === undefined;
  }

  /** Somebody else's from now on. */
  end(): void {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.();
  }

  /** The answer is known: ends, unless it is still to be made while it is sent. */
  [Symbol.dispose](): void {
    if (!this.#isKept) this.end();
  }

  /** The answer as it goes out. */
  answer({ method }: Pick<ApiRequest, 'method'>, response: ApiResponse): ApiResponse {
    const { body } = response;
    const headers = { ...response.headers, ...this.headers };
    // Nobody asks for the body of an answer to HEAD.
    if (body instanceof Uint8Array || method === 'HEAD' || this.isOver || this.#streamed === undefined)
      return { ...response, headers };
    this.#isKept = true;
    return { ...response, headers, body: this.#streamed.keep(this, body) };
  }
}
