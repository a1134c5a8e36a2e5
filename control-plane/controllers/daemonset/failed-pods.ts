import { backoffMs, type Backoff } from '#base/backoff.ts';

/** DaemonSetsController's failedPodsBackoff. */
const backoff: Backoff = { initialMs: 1000, factor: 2, maxMs: 900_000 };
/** Whoever had no failed pod for so long begins anew. */
const forgottenMs = 2 * backoff.maxMs;

interface Replaced {
  readonly times: number;
  readonly atMs: number;
}

/**
 * How long a failed pod stays before it is replaced: a node that refuses a pod refuses the next one, too. Kept for a generation of a
 * DaemonSet and a node. Times are of one clock that only goes forward.
 */
export class FailedPods {
  readonly #replaced = new Map<string, Map<string, Replaced>>();

  /** 0: now. @param whose DaemonSet and generation */
  waitMs(whose: string, node: string, nowMs: number): number {
    const last = this.#last(whose, node, nowMs);
    return last === undefined ? 0 : Math.max(0, last.atMs + backoffMs(backoff, last.times) - nowMs);
  }

  noteReplaced(whose: string, node: string, nowMs: number): void {
    const nodes = this.#replaced.get(whose) ?? new Map<string, Replaced>();
    nodes.set(node, { times: (this.#last(whose, node, nowMs)?.times ?? 0) + 1, atMs: nowMs });
    this.#replaced.set(whose, nodes);
  }

  /** Its DaemonSet is gone, or of another generation. */
  forget(whose: string): void {
    this.#replaced.delete(whose);
  }

  #last(whose: string, node: string, nowMs: number): Replaced | undefined {
    const last = this.#replaced.get(whose)?.get(node);
    return last === undefined || nowMs - last.atMs > forgottenMs ? undefined : last;
  }
}
