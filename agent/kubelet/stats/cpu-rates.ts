/** A sample is kept for as long, so that two who ask do not each make the other's time short (cadvisor's housekeeping). */
const sampleMs = 10_000;

interface Sample {
  readonly atMs: number;
  readonly usageNanoseconds: number;
  readonly rate: number;
}

/** How fast CPU time is used: since the last sample, at first since the beginning. */
export class CpuRates {
  #samples = new Map<string, Sample>();
  #kept = new Map<string, Sample>();

  /** Nanoseconds of CPU a second. */
  rate(
    name: string,
    {
      usageNanoseconds,
      sinceMs,
      nowMs,
    }: { readonly usageNanoseconds: number; readonly sinceMs: number; readonly nowMs: number },
  ): number {
    const last = this.#samples.get(name);
    const isReset = last !== undefined && usageNanoseconds < last.usageNanoseconds;
    if (last !== undefined && !isReset && nowMs - last.atMs < sampleMs) {
      this.#kept.set(name, last);
      return last.rate;
    }
    const from = last === undefined || isReset ? { atMs: sinceMs, usageNanoseconds: 0 } : last;
    const seconds = Math.max(nowMs - from.atMs, 1) / 1000;
    const rate = Math.round((usageNanoseconds - from.usageNanoseconds) / seconds);
    this.#kept.set(name, { atMs: nowMs, usageNanoseconds, rate });
    return rate;
  }

  /** After all were asked for: what nobody asked for is gone. */
  forgetOthers(): void {
    if (this.#kept.size === 0) return;
    this.#samples = this.#kept;
    this.#kept = new Map();
  }
}
