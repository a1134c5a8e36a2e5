/** Counts numbers by how large they are: what a histogram of Prometheus is made of, at the cost of a comparison or two. */
export class BucketCounts {
  readonly #counts: number[];
  readonly #bounds: readonly number[];
  #sum = 0;
  #count = 0;

  /** @param bounds upper ones, inclusive, in order */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  /** @param times as if it had come so often */
  add(value: number, times = 1): void {
    this.#sum += value * times;
    this.#count += times;
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? Infinity)) at++;
    const before = this.#counts[at];
    if (before !== undefined) this.#counts[at] = before + times;
  }

  /** How many were up to each bound, beginning with the lowest; sum and number of all. */
  read(): {
    readonly upTo: readonly (readonly [bound: number, count: number])[];
    readonly sum: number;
    readonly count: number;
  } {
    let count = 0;
    const upTo = this.#bounds.map((bound, at) => [bound, (count += this.#counts[at] ?? 0)] as const);
    return { upTo, sum: this.#sum, count: this.#count };
  }
}

const nanosecondsPerMs = 1_000_000;

/** How long a number was how large, counted in nanoseconds (component-base, TimingHistogram). */
export class TimeCounts {
  readonly #counts: BucketCounts;
  #value = 0;
  #sinceMs: number;

  constructor(bounds: readonly number[], nowMs: number) {
    this.#counts = new BucketCounts(bounds);
    this.#sinceMs = nowMs;
  }

  set(value: number, nowMs: number): void {
    if (value === this.#value) return;
    this.#addUp(nowMs);
    this.#value = value;
  }

  read(nowMs: number): ReturnType<BucketCounts['read']> {
    this.#addUp(nowMs);
    return this.#counts.read();
  }

  #addUp(nowMs: number): void {
    const ms = nowMs - this.#sinceMs;
    if (ms <= 0) return;
    this.#sinceMs = nowMs;
    this.#counts.add(this.#value, Math.round(ms * nanosecondsPerMs));
  }
}
