import { inSlices } from '#base/time-slice.ts';

/** Told at once, as most changes concern a few. */
const atOnceMax = 64;

/** Who is to be looked at, told a few in each turn: what one owner's going concerns may be tens of thousands of objects. */
export class Visits {
  readonly #tell: (id: string) => void;
  readonly #underWay = new Set<Promise<void>>();

  constructor(tell: (id: string) => void) {
    this.#tell = tell;
  }

  /** `ids` are asked for as they are told: each is of that time. */
  add(ids: Iterator<string>): void {
    for (let count = 0; count < atOnceMax; count += 1) if (!this.#tellNext(ids)) return;
    const telling = inSlices(this.#steps(ids)).finally(() => this.#underWay.delete(telling));
    this.#underWay.add(telling);
  }

  /** Resolves when all were told. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  *#steps(ids: Iterator<string>): Generator<void, void> {
    while (this.#tellNext(ids)) yield;
  }

  #tellNext(ids: Iterator<string>): boolean {
    const { done, value } = ids.next();
    if (done === true) return false;
    this.#tell(value);
    return true;
  }
}
