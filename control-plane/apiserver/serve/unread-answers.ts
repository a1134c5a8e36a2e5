import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import type { Clock } from '#base/clock.ts';

/** The stream of an answer: of HTTP/1.1 or HTTP/2. Its own time-out knows whether what was written makes progress. */
export type AnswerStream = Writable & Pick<ServerResponse | ServerHttp2Stream, 'setTimeout'>;

/** A client that takes nothing of what waits for it is cut off after this long. */
export const answerStallMs = 30_000;
/** Bytes of all answers that may wait for their clients; the oldest are cut off for the newest. */
export const unreadBytesMax = 134_217_728;
const lookEveryMs = 1_000;

/**
 * Answers that their clients have not read to the end. Most are gone before anybody looks: each costs a place in a set, and only
 * those that are still there after a while get a time-out.
 */
export class UnreadAnswers {
  readonly #clock: Clock;
  readonly #onCutOff: (why: string) => void;
  /** In order of age, with the bytes that wait. */
  readonly #open = new Map<AnswerStream, number>();
  readonly #armed = new Set<AnswerStream>();
  #bytes = 0;
  #isLooking = false;

  constructor(clock: Clock, onCutOff: (why: string) => void) {
    this.#clock = clock;
    this.#onCutOff = onCutOff;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Before a body is written: `bytes` of a whole one, 0 of one that is written piece by piece. */
  add(stream: AnswerStream, bytes: number): void {
    this.#open.set(stream, 0);
    this.waiting(stream, bytes);
    this.#lookSoon();
  }

  /** So many bytes of the answer wait now. */
  waiting(stream: AnswerStream, bytes: number): void {
    const before = this.#open.get(stream);
    if (before === undefined) return;
    if (this.#bytes - before + bytes > unreadBytesMax) this.#makeRoom(stream, bytes - before);
    this.#open.set(stream, bytes);
    this.#bytes += bytes - before;
  }

  /** The answer was taken, or its client has gone. */
  remove(stream: AnswerStream): void {
    const bytes = this.#open.get(stream);
    if (bytes === undefined) return;
    this.#open.delete(stream);
    this.#bytes -= bytes;
    if (this.#armed.delete(stream) && !stream.destroyed) stream.setTimeout(0);
  }

  #lookSoon(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(lookEveryMs, () => this.#look());
  }

  #look(): void {
    this.#isLooking = false;
    for (const stream of this.#open.keys()) {
      if (stream.destroyed) {
        this.remove(stream);
        continue;
      }
      const bytes = stream.writableLength;
      this.waiting(stream, bytes);
      // A watch to which nothing happens is no client that does not read.
      if (bytes > 0) this.#arm(stream);
      else if (this.#armed.delete(stream)) stream.setTimeout(0);
    }
    if (this.#open.size > 0) this.#lookSoon();
  }

  #arm(stream: AnswerStream): void {
    if (this.#armed.has(stream)) return;
    this.#armed.add(stream);
    stream.setTimeout(answerStallMs, () => this.#cutOff(stream, `nothing read for ${answerStallMs} ms`));
  }

  /** Cuts off the oldest of the others that have something to read, until there is room for so much more. */
  #makeRoom(asking: AnswerStream, bytes: number): void {
    for (const [stream, waiting] of this.#open) {
      if (this.#bytes + bytes <= unreadBytesMax) return;
      if (waiting === 0 || stream === asking) continue;
      this.#cutOff(stream, `more than ${unreadBytesMax} bytes unread by all clients`);
    }
  }

  #cutOff(stream: AnswerStream, why: string): void {
    this.remove(stream);
    this.#onCutOff(why);
    stream.destroy();
  }
}
