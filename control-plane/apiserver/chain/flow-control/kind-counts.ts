import { TimeCounts } from '#base/counts/bucket-counts.ts';

/** Of a level, or of all: those who wait and those who are worked on. */
export interface RequestNumbers {
  readonly waiting: number;
  readonly executing: number;
}

type Phase = keyof RequestNumbers;
export type RequestKind = 'mutating' | 'readOnly';

const bounds = [0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1];

/** Requests that wait and that are worked on, by whether they write; as a fraction of what there is room for, over time. */
export class KindCounts {
  readonly #now: Record<RequestKind, Record<Phase, number>> = {
    mutating: { waiting: 0, executing: 0 },
    readOnly: { waiting: 0, executing: 0 },
  };
  readonly #use: Record<RequestKind, Record<Phase, TimeCounts>>;
  /** What there is room for. */
  room: RequestNumbers = { waiting: 1, executing: 1 };

  constructor(nowMs: number) {
    const one = (): Record<Phase, TimeCounts> => ({
      waiting: new TimeCounts(bounds, nowMs),
      executing: new TimeCounts(bounds, nowMs),
    });
    this.#use = { mutating: one(), readOnly: one() };
  }

  change(kind: RequestKind, phase: Phase, by: 1 | -1, nowMs: number): void {
    const count = (this.#now[kind][phase] += by);
    this.#use[kind][phase].set(count / this.room[phase], nowMs);
  }

  now(kind: RequestKind): RequestNumbers {
    return this.#now[kind];
  }

  read(kind: RequestKind, phase: Phase, nowMs: number): ReturnType<TimeCounts['read']> {
    return this.#use[kind][phase].read(nowMs);
  }
}
