import type { DiskLease } from './disk-protocol.ts';

/** Which leases exist, when they end, and which keys were put under them. */
export class LeaseBook {
  readonly #leases = new Map<number, { readonly lease: DiskLease; readonly keys: Set<string> }>();
  #nextId = 1;

  constructor(leases: readonly DiskLease[]) {
    for (const lease of leases) this.#add(lease);
  }

  grant(ttlSeconds: number, nowMs: number): DiskLease {
    const lease: DiskLease = { id: this.#nextId, ttlSeconds, expiresAtMs: nowMs + ttlSeconds * 1000 };
    this.#add(lease);
    return lease;
  }

  has(lease: number): boolean {
    return this.#leases.has(lease);
  }

  /** A key may have moved to another lease since: whoever ends a lease asks the index which keys it still holds. */
  attach(lease: number, key: string): void {
    this.#leases.get(lease)?.keys.add(key);
  }

  /** The keys that were ever put under the lease; undefined when there is no such lease. */
  keysOf(lease: number): readonly string[] | undefined {
    const found = this.#leases.get(lease);
    return found === undefined ? undefined : [...found.keys];
  }

  remove(lease: number): void {
    this.#leases.delete(lease);
  }

  expired(nowMs: number): readonly number[] {
    return [...this.#leases.values()].flatMap(({ lease }) => (lease.expiresAtMs <= nowMs ? [lease.id] : []));
  }

  #add(lease: DiskLease): void {
    this.#leases.set(lease.id, { lease, keys: new Set() });
    this.#nextId = Math.max(this.#nextId, lease.id + 1);
  }
}
