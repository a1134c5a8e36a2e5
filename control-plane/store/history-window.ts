import type { Mvcc } from './mvcc.ts';

export interface HistoryBounds {
  /** How long history is kept for watchers that resume. Default 5 minutes. */
  readonly historyMs?: number;
  /** How long, where it is of more than so many bytes. Defaults 75 s, which is what upstream's watch cache keeps of a busy kind (eventFreshDuration), and 8 MiB. */
  readonly freshMs?: number;
  readonly quietBytesMax?: number;
  /** Bounds of that history whatever its age. Defaults 100,000 events, 32 MiB. */
  readonly historyEventsMax?: number;
  readonly historyBytesMax?: number;
}

/** Where compaction may cut: it is told from time to time which revision is the newest. Times are monotonic. */
export class HistoryWindow {
  readonly #bounds: HistoryBounds;
  /** When each revision was the newest, oldest first. */
  #marks: { readonly atMs: number; readonly revision: number }[] = [];

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds;
  }

  note(nowMs: number, revision: number): void {
    this.#marks.push({ atMs: nowMs, revision });
  }

  /** The revision to compact at; 0, or one that is compacted already, when nothing is due. */
  cut(nowMs: number, mvcc: Mvcc): number {
    const { historyMs = 300_000, freshMs = 75_000, quietBytesMax = 8_388_608 } = this.#bounds;
    const keptMs = mvcc.historyBytes > quietBytesMax ? Math.min(freshMs, historyMs) : historyMs;
    // Over the bound, the older half of what is kept goes, whatever its age.
    const oldEnough = this.#marks.filter((mark) => mark.atMs <= nowMs - keptMs);
    const point = Math.max(oldEnough.at(-1)?.revision ?? 0, this.#isOver(mvcc, 1) ? middle(mvcc) : 0);
    this.#marks = this.#marks.slice(Math.max(0, oldEnough.length - 1));
    return point;
  }

  /** The revision to compact at once, as twice as much is kept as may be; 0: there is not. */
  excess(mvcc: Mvcc): number {
    return this.#isOver(mvcc, 2) ? middle(mvcc) : 0;
  }

  #isOver(mvcc: Mvcc, times: number): boolean {
    const { historyEventsMax = 100_000, historyBytesMax = 33_554_432 } = this.#bounds;
    return mvcc.historyLength > times * historyEventsMax || mvcc.historyBytes > times * historyBytesMax;
  }
}

function middle({ compactRevision, revision }: Mvcc): number {
  return compactRevision + Math.floor((revision - compactRevision) / 2);
}
