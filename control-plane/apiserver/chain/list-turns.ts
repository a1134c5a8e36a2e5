import { nextTurn } from '#base/time-slice.ts';
import type { ApiResponse, ByteSink } from '#control-plane/apiserver/serve/request.ts';

/** Lists that are made at a time: one thread does not make more any faster, and what is short waits behind what is being made. */
const atOnceMax = 2;
/** What one list writes in a turn of the event loop: what is made of it beneath (TLS, the socket) is a part of the turn that nobody measures. */
const sliceBytesMax = 131_072;
/** The same while something short is being done, which comes back to the loop several times before it is answered. */
const besideShortBytesMax = 32_768;

/**
 * Whose list is made. A list is work of milliseconds where others are of a tenth of one: many at once would have every lease and binding wait for
 * all of them, whatever their seats. Users take turns, each with one list after the other; who does not read what it asked for has no turn meanwhile.
 */
export class ListTurns {
  #free = atOnceMax;
  /** Requests other than lists that have begun and have no answer yet. */
  #short = 0;
  readonly #shortEnd: Disposable = { [Symbol.dispose]: () => void this.#short-- };
  /** By user; who has waited longest is first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Something short is being done until this is disposed of: lists write less in a turn meanwhile. */
  short(): Disposable {
    this.#short++;
    return this.#shortEnd;
  }

  /** Makes the answer, and what is made of it while it is sent, in turns of that user. */
  async serve(user: string, make: () => Promise<ApiResponse>): Promise<ApiResponse> {
    await this.#take(user);
    let isKept = false;
    try {
      const response = await make();
      const { body } = response;
      if (body instanceof Uint8Array) return response;
      isKept = true;
      return { ...response, body: this.#inTurns(user, body) };
    } finally {
      if (!isKept) this.#give();
    }
  }

  /** The turn that was taken for the answer goes on with its body, which may never be asked for: it is over after this turn of the loop then. */
  #inTurns(user: string, body: (sink: ByteSink) => Promise<void>): (sink: ByteSink) => Promise<void> {
    let isHeld = true;
    const give = (): void => {
      if (isHeld) this.#give();
      isHeld = false;
    };
    const unasked = setImmediate(give);
    const take = async (): Promise<void> => {
      if (isHeld) return;
      await this.#take(user);
      isHeld = true;
    };
    return async (sink) => {
      clearImmediate(unasked);
      await take();
      try {
        let [written, isFull] = [0, false];
        await body({
          write: (bytes, sent) => {
            written += bytes.byteLength;
            isFull = !sink.write(bytes, sent);
            return !isFull && written < (this.#short > 0 ? besideShortBytesMax : sliceBytesMax);
          },
          drained: async () => {
            if (isFull) {
              give();
              await sink.drained();
              await take();
            } else await nextTurn();
            written = 0;
          },
          get pendingBytes() {
            return sink.pendingBytes;
          },
        });
      } finally {
        give();
      }
    };
  }

  #take(user: string): Promise<void> | undefined {
    if (this.#free > 0) {
      this.#free--;
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const own = this.#waiting.get(user);
    if (own === undefined) this.#waiting.set(user, [resolve]);
    else own.push(resolve);
    return promise;
  }

  /** To the first of the user who has waited longest, in a turn of the loop of its own: whoever is short comes before. */
  #give(): void {
    const [user, own] = this.#waiting.entries().next().value ?? [];
    if (user === undefined || own === undefined) {
      this.#free++;
      return;
    }
    const next = own.shift();
    this.#waiting.delete(user);
    if (own.length > 0) this.#waiting.set(user, own);
    if (next !== undefined) setImmediate(next);
  }
}
