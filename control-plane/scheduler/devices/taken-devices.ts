import type { AllocationResult, ResourceV1ResourceClaim as ResourceClaim } from '#api/generated/objects.ts';
import { deviceId, nanosOf, type Counters } from './pools.ts';

/** What claims have of devices. */
export interface TakenDevices {
  /** A claim has all of it. Admins that look at it do not count. */
  readonly isWhole: (id: string) => boolean;
  /** Capacity that shares of it have, in billionths; undefined: nobody has one. */
  readonly sharesOf: (id: string) => Counters | undefined;
}

/** Counts what claims have, as they change: a change costs what that claim has. */
export class DeviceLedger implements TakenDevices {
  readonly #byClaim = new Map<string, AllocationResult>();
  readonly #whole = new Map<string, number>();
  readonly #shares = new Map<string, { count: number; readonly capacity: Map<string, bigint> }>();

  /** @param key `namespace/name` */
  set(key: string, claim: ResourceClaim | undefined): void {
    const before = this.#byClaim.get(key);
    const after = claim?.status?.allocation;
    if (before === after) return;
    if (before !== undefined) this.#count(before, -1);
    if (after === undefined) this.#byClaim.delete(key);
    else {
      this.#byClaim.set(key, after);
      this.#count(after, 1);
    }
  }

  readonly isWhole = (id: string): boolean => this.#whole.has(id);

  readonly sharesOf = (id: string): Counters | undefined => this.#shares.get(id)?.capacity;

  #count(allocation: AllocationResult, change: 1 | -1): void {
    for (const result of allocation.devices?.results ?? []) {
      if (result.adminAccess === true) continue;
      const id = deviceId(result.driver, result.pool, result.device);
      if (result.shareID === undefined) {
        const left = (this.#whole.get(id) ?? 0) + change;
        if (left === 0) this.#whole.delete(id);
        else this.#whole.set(id, left);
      } else this.#countShare(id, result.consumedCapacity ?? {}, change);
    }
  }

  #countShare(id: string, consumed: Readonly<Record<string, string>>, change: 1 | -1): void {
    const share = this.#shares.get(id) ?? { count: 0, capacity: new Map<string, bigint>() };
    share.count += change;
    for (const [name, value] of Object.entries(consumed))
      share.capacity.set(name, (share.capacity.get(name) ?? 0n) + BigInt(change) * nanosOf(value));
    if (share.count === 0) this.#shares.delete(id);
    else this.#shares.set(id, share);
  }
}
