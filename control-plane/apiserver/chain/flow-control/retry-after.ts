/** Seconds that a refused client is asked to wait, at most. */
export const retrySecondsMax = 32;

/** When those who are refused are to come again: later, the more there are (apiserver, droppedRequestsStats: doubled, and back by one). */
export class RetryAfter {
  #seconds = 1;
  #changedAt = 0;
  /** Of the last seconds, oldest first. */
  #refused: { readonly second: number; count: number }[] = [];

  get seconds(): number {
    return this.#seconds;
  }

  /** One was refused. @param nowSeconds whole, of any clock */
  note(nowSeconds: number): void {
    const last = this.#refused.at(-1);
    if (last?.second === nowSeconds) {
      last.count++;
      return;
    }
    this.#update(nowSeconds);
    this.#refused = this.#refused.filter(({ second }) => nowSeconds - second <= retrySecondsMax);
    this.#refused.push({ second: nowSeconds, count: 1 });
  }

  #update(nowSeconds: number): void {
    const refused = this.#refused
      .filter(({ second }) => nowSeconds - second <= this.#seconds)
      .reduce((sum, { count }) => sum + count, 0);
    if (nowSeconds - this.#changedAt >= this.#seconds && refused >= 3 * this.#seconds) {
      this.#seconds = Math.min(retrySecondsMax, 2 * this.#seconds);
      this.#changedAt = nowSeconds;
    } else if (refused < this.#seconds && this.#seconds > 1) {
      this.#seconds--;
    }
  }
}
