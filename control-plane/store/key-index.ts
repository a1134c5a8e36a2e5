import type { KeptValue } from './packed/packable-value.ts';

/** One version of a key. A deletion is a version too (a tombstone); its value is the last state that watchers are told. */
export interface Version {
  /** The row on disk that holds it. */
  readonly row: number;
  readonly revision: number;
  readonly createRevision: number;
  /** Puts since the creation. */
  readonly version: number;
  readonly deleted: boolean;
  readonly value: KeptValue;
  readonly lease: number;
}

/**
 * A key and its versions, oldest first. A key created at 5, changed at 7, deleted at 9 and compacted at 7 reads
 * `[7, 9 (tombstone)]`; compacted at 9 it is gone from the index.
 */
export interface KeyHistory {
  readonly key: string;
  readonly versions: Version[];
}

const bucketKeysMax = 512;

/**
 * All keys in order, with their histories. Order is by UTF-16 code unit, which is byte order for every name that the
 * Kubernetes API admits. Buckets of a few hundred keys make insertion and removal cheap at any size.
 */
export class KeyIndex {
  readonly #byKey = new Map<string, KeyHistory>();
  readonly #buckets: KeyHistory[][] = [[]];

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): KeyHistory | undefined {
    return this.#byKey.get(key);
  }

  /** The history of the key, made empty when the key is new. */
  ensure(key: string): KeyHistory {
    const present = this.#byKey.get(key);
    if (present !== undefined) return present;
    const history: KeyHistory = { key, versions: [] };
    this.#byKey.set(key, history);
    this.#insert(history);
    return history;
  }

  remove(key: string): void {
    if (!this.#byKey.delete(key)) return;
    const index = this.#bucketOf(key);
    const bucket = this.#buckets[index] ?? [];
    bucket.splice(lowerBound(bucket, key), 1);
    if (bucket.length === 0 && this.#buckets.length > 1) this.#buckets.splice(index, 1);
  }

  /** Histories whose key starts with `prefix`, in order, from `from` on. */
  *scan(prefix: string, from: string = prefix): Generator<KeyHistory, void> {
    const start = from > prefix ? from : prefix;
    for (let index = this.#bucketOf(start); index < this.#buckets.length; index++) {
      const bucket = this.#buckets[index] ?? [];
      for (let at = lowerBound(bucket, start); at < bucket.length; at++) {
        const history = bucket[at];
        if (history === undefined || !history.key.startsWith(prefix)) return;
        yield history;
      }
    }
  }

  /** Whether a key starts with `prefix`, be it only for its history. */
  hasAny(prefix: string): boolean {
    const index = this.#bucketOf(prefix);
    const bucket = this.#buckets[index] ?? [];
    const first = bucket[lowerBound(bucket, prefix)] ?? this.#buckets[index + 1]?.[0];
    return first?.key.startsWith(prefix) === true;
  }

  /** How many keys start with `prefix`, from `from` on. */
  count(prefix: string, from: string = prefix): number {
    const start = from > prefix ? from : prefix;
    return Math.max(0, this.#rank(`${prefix}\uffff`) - this.#rank(start)); // No key has that character.
  }

  /** How many keys are before this one. */
  #rank(key: string): number {
    const index = this.#bucketOf(key);
    let rank = lowerBound(this.#buckets[index] ?? [], key);
    for (let before = 0; before < index; before++) rank += this.#buckets[before]?.length ?? 0;
    return rank;
  }

  #insert(history: KeyHistory): void {
    const index = this.#bucketOf(history.key);
    const bucket = this.#buckets[index] ?? [];
    bucket.splice(lowerBound(bucket, history.key), 0, history);
    if (bucket.length <= bucketKeysMax) return;
    // Keys that arrive in order (a load, names with a counter) fill the last bucket: cut it where it leaves full ones.
    const isLast = index === this.#buckets.length - 1;
    const cut = isLast ? bucketKeysMax : bucketKeysMax >> 1;
    this.#buckets.splice(index + 1, 0, bucket.splice(cut));
  }

  /** The last bucket whose first key is not beyond `key`. */
  #bucketOf(key: string): number {
    let low = 0;
    let high = this.#buckets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const first = this.#buckets[middle]?.[0];
      if (first !== undefined && first.key <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The version of a history as of `revision`; undefined when the key did not exist then. */
export function versionAt(history: KeyHistory | undefined, revision: number): Version | undefined {
  if (history === undefined) return undefined;
  for (let index = history.versions.length - 1; index >= 0; index--) {
    const version = history.versions[index];
    if (version !== undefined && version.revision <= revision) {
      return version.deleted ? undefined : version;
    }
  }
  return undefined;
}

function lowerBound(bucket: readonly KeyHistory[], key: string): number {
  let low = 0;
  let high = bucket.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const history = bucket[middle];
    if (history !== undefined && history.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
