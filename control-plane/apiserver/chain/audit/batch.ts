import type { Clock } from '#base/clock.ts';
import type { AuditEvent } from './event.ts';
import type { AuditSink, OnLost } from './sink.ts';

export interface BatchOptions {
  /** Events that may wait; of more, the newest are lost. */
  readonly bufferSize: number;
  readonly batchSizeMax: number;
  /** How long the first of a batch waits for others. */
  readonly waitMsMax: number;
  /** Batches a second on average, and at once; undefined: as many as there are. */
  readonly throttle: { readonly qps: number; readonly burst: number } | undefined;
}

interface BatchingParts {
  readonly clock: Clock;
  readonly onLost: OnLost;
  /** Batches that are on their way at a time; with 1 they come in order. */
  readonly atOnce: number;
}

const stopping = 'the server is stopping';
/** How long who ends it waits for what is left to go; the rest is lost. */
const leaveMs = 10_000;

/** Takes events at once and hands them on in batches. What is left goes when it is closed. */
export class Batching implements AuditSink {
  readonly #sink: AuditSink;
  readonly #options: BatchOptions;
  readonly #clock: Clock;
  readonly #onLost: OnLost;
  readonly #atOnce: number;
  readonly #sending = new Set<Promise<void>>();
  #waiting: AuditEvent[] = [];
  #timer: Disposable | undefined;
  #tokens: number;
  #tokensAtMs: number;
  #isClosing = false;

  constructor(sink: AuditSink, options: BatchOptions, { clock, onLost, atOnce }: BatchingParts) {
    this.#sink = sink;
    this.#options = options;
    this.#clock = clock;
    this.#onLost = onLost;
    this.#atOnce = atOnce;
    this.#tokens = options.throttle?.burst ?? 0;
    this.#tokensAtMs = clock.monotonic();
  }

  async begin(): Promise<void> {
    await this.#sink.begin?.();
  }

  take(events: readonly AuditEvent[]): boolean {
    const room = this.#options.bufferSize - this.#waiting.length;
    if (this.#isClosing || events.length > room) {
      const lost = this.#isClosing ? events.length : events.length - Math.max(0, room);
      this.#onLost(lost, this.#isClosing ? stopping : 'audit buffer queue blocked');
      if (this.#isClosing) return true;
    }
    this.#waiting.push(...events.slice(0, Math.max(0, room)));
    this.#plan();
    return true; // Nobody is refused for what is written later.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const late = Promise.withResolvers<void>();
    using _timer = this.#clock.after(leaveMs, late.resolve);

    await Promise.race([this.#sendRest(), late.promise]);
    if (this.#waiting.length > 0) this.#onLost(this.#waiting.splice(0).length, stopping);
    await this.#sink[Symbol.asyncDispose]();
  }

  async #sendRest(): Promise<void> {
    while (this.#waiting.length + this.#sending.size > 0) {
      while (this.#waiting.length > 0 && this.#sending.size < this.#atOnce) this.#sendOne();
      await Promise.race(this.#sending);
    }
  }

  #plan(): void {
    if (this.#sending.size >= this.#atOnce || this.#waiting.length === 0 || this.#isClosing) return;
    const { batchSizeMax, waitMsMax } = this.#options;
    if (this.#waiting.length >= batchSizeMax || waitMsMax === 0) {
      this.#timer?.[Symbol.dispose]();
      this.#timer = undefined;
      this.#send();
      return;
    }
    this.#timer ??= this.#clock.after(waitMsMax, () => {
      this.#timer = undefined;
      this.#send();
    });
  }

  #send(): void {
    if (this.#sending.size >= this.#atOnce || this.#waiting.length === 0) return;
    const waitMs = this.#throttled();
    if (waitMs > 0) {
      this.#timer ??= this.#clock.after(waitMs, () => {
        this.#timer = undefined;
        this.#send();
      });
      return;
    }
    this.#sendOne();
    this.#plan();
  }

  #sendOne(): void {
    const taken = Promise.resolve(this.#sink.take(this.#waiting.splice(0, this.#options.batchSizeMax)));
    const sending: Promise<void> = taken.then(() => {
      this.#sending.delete(sending);
      this.#plan();
    });
    this.#sending.add(sending);
  }

  /** Takes a token, or tells how long until there is one. */
  #throttled(): number {
    const { throttle } = this.#options;
    if (throttle === undefined) return 0;
    const nowMs = this.#clock.monotonic();
    const grown = this.#tokens + ((nowMs - this.#tokensAtMs) * throttle.qps) / 1000;
    this.#tokens = Math.min(throttle.burst, grown);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1) return Math.max(1, Math.ceil(((1 - this.#tokens) * 1000) / throttle.qps));
    this.#tokens -= 1;
    return 0;
  }
}
