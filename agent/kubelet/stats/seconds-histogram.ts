/** `prometheus.DefBuckets`, of what is short. */
export const shortBucketsSeconds: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Seconds in buckets. */
export class SecondsHistogram {
  readonly buckets: readonly number[];
  readonly #counts: number[];
  sum = 0;
  count = 0;

  constructor(buckets: readonly number[]) {
    this.buckets = buckets;
    this.#counts = buckets.map(() => 0);
  }

  observe(seconds: number): void {
    this.sum += seconds;
    this.count++;
    this.buckets.forEach((bound, index) => {
      if (seconds <= bound) this.#counts[index] = this.upTo(index) + 1;
    });
  }

  /** How many were no longer than the bucket's bound. */
  upTo(index: number): number {
    return this.#counts[index] ?? 0;
  }
}
