/** Exponential back-off, as a function of the number of failures so far. */
export interface Backoff {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
}

/** The wait before try number `failures + 1`; 0 failures wait nothing. */
export function backoffMs(backoff: Backoff, failures: number): number {
  if (failures <= 0) return 0;
  return Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** (failures - 1));
}
