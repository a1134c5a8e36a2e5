/** What a level could have used in a time, in seats. */
export interface DemandSeen {
  readonly average: number;
  readonly deviation: number;
  readonly highest: number;
}

/** Adds up a number that changes at moments, over the time between them. Times are milliseconds of one clock. */
export class DemandMeter {
  #value = 0;
  #sinceMs: number;
  #ms = 0;
  #sum = 0;
  #squares = 0;
  #highest = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  set(value: number, nowMs: number): void {
    this.#addUp(nowMs);
    this.#value = value;
    if (value > this.#highest) this.#highest = value;
  }

  /** What was seen since the last call; begins anew. undefined: no time has gone by. */
  take(nowMs: number): DemandSeen | undefined {
    this.#addUp(nowMs);
    const [ms, sum, squares, highest] = [this.#ms, this.#sum, this.#squares, this.#highest];
    [this.#ms, this.#sum, this.#squares, this.#highest] = [0, 0, 0, this.#value];
    if (ms <= 0) return undefined;
    const average = sum / ms;
    return { average, deviation: Math.sqrt(Math.max(0, squares / ms - average * average)), highest };
  }

  #addUp(nowMs: number): void {
    const ms = nowMs - this.#sinceMs;
    if (ms <= 0) return;
    this.#sinceMs = nowMs;
    this.#ms += ms;
    this.#sum += this.#value * ms;
    this.#squares += this.#value * this.#value * ms;
  }
}

/** How much of what was smoothed before stays in a period (KEP-1040: half of it in five minutes, at ten seconds each). */
const smoothing = 0.977;

/** Goes up at once, and down slowly. */
export function smoothDemand(smoothed: number, { average, deviation }: DemandSeen): number {
  const envelope = average + deviation;
  return Math.max(envelope, smoothing * smoothed + (1 - smoothing) * envelope);
}
