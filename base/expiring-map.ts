interface Entry<V> {
  readonly value: V;
  readonly expiresAtMs: number;
}

/** Values that are good for a while, the least used of them forgotten when there are too many. Time is the caller's, in milliseconds. */
export class ExpiringMap<K, V> {
  readonly #entries = new Map<K, Entry<V>>(); // The least recently used first.
  readonly #sizeMax: number;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K, nowMs: number): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.expiresAtMs <= nowMs) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** A time to live of nothing keeps nothing. */
  set(key: K, value: V, { ttlMs, nowMs }: { readonly ttlMs: number; readonly nowMs: number }): void {
    this.#entries.delete(key);
    if (ttlMs <= 0) return;
    this.#entries.set(key, { value, expiresAtMs: nowMs + ttlMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#sizeMax) break;
      this.#entries.delete(oldest);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}
