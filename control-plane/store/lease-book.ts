import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { DiskLease } from './disk-protocol.ts';

interface Entry {
  lease: DiskLease;
  /** Of the monotonic clock. What is on the disk is a time of day, for the next life only: somebody may set the clock in this one. */
  endsAtMs: number;
  readonly keys: Set<string>;
}

/** Which leases exist, when they end, and which keys were put under them. */
export class LeaseBook {
  readonly #clock: Clock;
  readonly #leases = new Map<number, Entry>();
  #nextId = 1;

  /** `leases`: of an earlier life. None has more than its whole term left, whatever the clocks of both lives say. */
  constructor(leases: readonly DiskLease[], clock: Clock) {
    this.#clock = clock;
    const nowMs = clock.now();
    for (const lease of leases) {
      this.#add(lease, Math.min(lease.expiresAtMs - nowMs, lease.ttlSeconds * 1000));
    }
  }

  /** @throws E_EXISTS for an id that is taken */
  grant(ttlSeconds: number, id: number = this.#nextId): DiskLease {
    if (this.#leases.has(id)) throw new PodwrightError('E_EXISTS', `grant lease ${id}: it exists`);
    const ttlMs = ttlSeconds * 1000;
    const lease: DiskLease = { id, ttlSeconds, expiresAtMs: this.#clock.now() + ttlMs };
    this.#add(lease, ttlMs);
    return lease;
  }

  /** Lets it begin anew; undefined when there is no such lease. */
  renew(id: number): DiskLease | undefined {
    const found = this.#leases.get(id);
    if (found === undefined) return undefined;
    const ttlMs = found.lease.ttlSeconds * 1000;
    found.lease = { ...found.lease, expiresAtMs: this.#clock.now() + ttlMs };
    found.endsAtMs = this.#clock.monotonic() + ttlMs;
    return found.lease;
  }

  has(lease: number): boolean {
    return this.#leases.has(lease);
  }

  /** How long it has; 0: it is due, or there is none. */
  leftMs(id: number): number {
    return Math.max(0, (this.#leases.get(id)?.endsAtMs ?? 0) - this.#clock.monotonic());
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

  expired(): readonly number[] {
    return [...this.#leases.keys()].filter((id) => this.leftMs(id) === 0);
  }

  #add(lease: DiskLease, leftMs: number): void {
    this.#leases.set(lease.id, { lease, endsAtMs: this.#clock.monotonic() + leftMs, keys: new Set() });
    // Ids that clients choose may be anywhere: those given here stay small, and exact.
    if (lease.id < idsChosenFrom) this.#nextId = Math.max(this.#nextId, lease.id + 1);
  }
}

const idsChosenFrom = 2 ** 32;
