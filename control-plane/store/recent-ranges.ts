import type { StoredValue } from './store.ts';

/** Shorter ones are found as fast as they are looked up. */
export const worthValues = 256;
/** Of all that are kept together; each is some 100 bytes beside what is stored. */
const valuesMax = 65_536;

/**
 * What was found under a prefix the last times, as long as nothing under it changes: of those who list everything again and again, each would have
 * the index walked and a description made of each value, which then is garbage.
 */
export class RecentRanges {
  /** By prefix; who was asked for last is last. */
  readonly #ranges = new Map<string, readonly StoredValue[]>();
  #values = 0;

  get(prefix: string): readonly StoredValue[] | undefined {
    const values = this.#ranges.get(prefix);
    if (values === undefined) return undefined;
    this.#ranges.delete(prefix);
    this.#ranges.set(prefix, values);
    return values;
  }

  /** @param values all of the prefix, as of now */
  keep(prefix: string, values: readonly StoredValue[]): void {
    if (values.length < worthValues || values.length > valuesMax) return;
    this.#forget(prefix);
    this.#ranges.set(prefix, values);
    this.#values += values.length;
    for (const oldest of this.#ranges.keys()) {
      if (this.#values <= valuesMax) return;
      this.#forget(oldest);
    }
  }

  /** Of the key there is another version now, or none. */
  changed(key: string): void {
    for (const prefix of this.#ranges.keys()) if (key.startsWith(prefix)) this.#forget(prefix);
  }

  clear(): void {
    this.#ranges.clear();
    this.#values = 0;
  }

  #forget(prefix: string): void {
    this.#values -= this.#ranges.get(prefix)?.length ?? 0;
    this.#ranges.delete(prefix);
  }
}
