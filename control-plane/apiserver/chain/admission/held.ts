import type { PodwrightError } from '#base/errors.ts';
import type { StoreChange } from '#control-plane/store/store.ts';

/** What a plugin takes for a write: disposed of when the object is stored or given up. */
export interface Taken extends Disposable {
  readonly beside?: Beside;
}

/**
 * What goes into the transaction of the object, and is so only if what it expects holds then; where it does not, who took it is asked
 * again. Of a dry run nothing is written.
 */
export interface Beside extends Required<StoreChange> {
  /** What is told when others were first time and again. */
  readonly conflict: () => PodwrightError;
}

/** What all plugins took for one write. */
export class Held implements Disposable {
  readonly #taken = new DisposableStack();
  readonly #besides: Beside[] = [];

  use(taken: Taken): void {
    this.#taken.use(taken);
    if (taken.beside !== undefined) this.#besides.push(taken.beside);
  }

  /** All that goes into the transaction of the object; undefined: nothing does. */
  get beside(): Beside | undefined {
    const [first] = this.#besides;
    if (first === undefined) return undefined;
    return {
      conflict: first.conflict,
      ops: this.#besides.flatMap(({ ops }) => ops),
      expect: this.#besides.flatMap(({ expect }) => expect),
    };
  }

  [Symbol.dispose](): void {
    this.#taken[Symbol.dispose]();
  }
}
