import { PodwrightError } from '#base/errors.ts';
import type { DiskLease } from './disk-protocol.ts';

/** Which leases exist, when they end, and which keys were put under them. */
export class LeaseBook {
  readonly #leases = new Map<number, { lease: DiskLease; readonly keys: Set<string> }>();
  #nextId = 1;

  constructor(leases: readonly DiskLease[]) {
    for (const lease of leases) this.#add(lease);
  }

  /** @throws E_EXISTS for an id that is taken */
  grant(ttlSeconds: number, nowMs: number, id: number = this.#nextId): DiskLease {
    if (this.#leases.has(id)) throw new PodwrightError('E_EXISTS', `grant lease ${id}: it exists`);
    const lease: DiskLease = { id, ttlSeconds, expiresAtMs: nowMs + ttlSeconds * 1000 };
    this.#add(lease);
    return lease;
  }

  /** Lets it begin anew; undefined when there is no such lease. */
  renew(id: number, nowMs: number): DiskLease | undefined {
    const found = this.#leases.get(id);
    if (found === undefined) return undefined;
    found.lease = { ...found.lease, expiresAtMs: nowMs + found.lease.ttlSeconds * 1000 };
    return found.lease;
  }

  has(lease: number): boolean {
    return this.#leases.has(lease);
  }

  get(id: number): DiskLease | undefined {
    return this.#leases.get(id)?.lease;
  }

  all(): readonly DiskLease[] {
    return [...this.#leases.values()].map(({ lease }) => lease);
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
    // Ids that clients choose may be anywhere: those given here stay small, and exact.
    if (lease.id < idsChosenFrom) this.#nextId = Math.max(this.#nextId, lease.id + 1);
  }
}

const idsChosenFrom = 2 ** 32;
