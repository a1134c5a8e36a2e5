import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import type { Clock } from '#base/clock.ts';
import { LinkedList, type Place } from '#base/memory/linked-list.ts';

/** The stream of an answer: of HTTP/1.1 or HTTP/2. Its own time-out knows whether what was written makes progress. */
export type AnswerStream = Writable & Pick<ServerResponse | ServerHttp2Stream, 'setTimeout'>;

/** A client that takes nothing of what waits for it is cut off after this long. */
export const answerStallMs = 30_000;
/** Bytes of all answers that may wait for their clients; the oldest are cut off for the newest. */
export const unreadBytesMax = 134_217_728;
const lookEveryMs = 1_000;

interface Open {
  readonly stream: AnswerStream;
  /** That wait. */
  bytes: number;
  /** Whether its stream has a time-out. */
  isArmed: boolean;
}

/** An answer that has been begun, as `UnreadAnswers` knows it. */
export type UnreadAnswer = Place<Open>;

/**
 * Answers that their clients have not read to the end. Most are gone before anybody looks: each costs a place in a list, and only
 * those that are still there after a while get a time-out.
 */
export class UnreadAnswers {
  readonly #clock: Clock;
  readonly #onCutOff: (why: string) => void;
  /** In order of age. */
  readonly #open = new LinkedList<Open>();
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
  add(stream: AnswerStream, bytes: number): UnreadAnswer {
    const answer = this.#open.add({ stream, bytes: 0, isArmed: false });
    this.waiting(answer, bytes);
    this.#lookSoon();
    return answer;
  }

  /** So many bytes of the answer wait now. */
  waiting(answer: UnreadAnswer, bytes: number): void {
    if (!this.#open.has(answer)) return;
    const open = answer.value;
    const more = bytes - open.bytes;
    if (this.#bytes + more > unreadBytesMax) this.#makeRoom(answer, more);
    open.bytes = bytes;
    this.#bytes += more;
  }

  /** The answer was taken, or its client has gone. */
  remove(answer: UnreadAnswer): void {
    if (!this.#open.remove(answer)) return;
    this.#bytes -= answer.value.bytes;
    disarm(answer.value);
  }

  #lookSoon(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(lookEveryMs, () => this.#look());
  }

  #look(): void {
    this.#isLooking = false;
    for (const answer of this.#open.places()) {
      const { stream } = answer.value;
      if (stream.destroyed) {
        this.remove(answer);
        continue;
      }
      const bytes = stream.writableLength;
      this.waiting(answer, bytes);
      // A watch to which nothing happens is no client that does not read.
      if (bytes > 0) this.#arm(answer);
      else disarm(answer.value);
    }
    if (this.#open.size > 0) this.#lookSoon();
  }

  #arm(answer: UnreadAnswer): void {
    const open = answer.value;
    if (open.isArmed) return;
    open.isArmed = true;
    open.stream.setTimeout(answerStallMs, () => this.#cutOff(answer, `nothing read for ${answerStallMs} ms`));
  }

  /** Cuts off the oldest of the others that have something to read, until there is room for so much more. */
  #makeRoom(asking: UnreadAnswer, bytes: number): void {
    for (const answer of this.#open.places()) {
      if (this.#bytes + bytes <= unreadBytesMax) return;
      if (answer.value.bytes === 0 || answer === asking) continue;
      this.#cutOff(answer, `more than ${unreadBytesMax} bytes unread by all clients`);
    }
  }

  #cutOff(answer: UnreadAnswer, why: string): void {
    this.remove(answer);
    this.#onCutOff(why);
    answer.value.stream.destroy();
  }
}

function disarm(open: Open): void {
  if (!open.isArmed) return;
  open.isArmed = false;
  if (!open.stream.destroyed) open.stream.setTimeout(0);
}
