import { splitName } from '#api/device/device-expression.ts';
import { toleratesDevice } from '#api/device/device-taints.ts';
import type {
  DeviceAttribute,
  DeviceConstraint,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { shareOf } from './capacity.ts';
import { countersOf, type Counters, type Pool, type PoolDevice } from './pools.ts';
import type { TakenDevices } from './taken-devices.ts';
import {
  resultCountMax,
  wantedOf,
  type NoDevices,
  type Wanted,
  type WantedClaim,
  type WantedSources,
} from './wanted.ts';

/** A device for a request. */
export interface Pick {
  readonly wanted: Wanted;
  readonly of: PoolDevice;
  /** What is taken of a device that several may use, in billionths by capacity; undefined: all of it. */
  readonly share: Counters | undefined;
}

export interface ClaimPicks {
  readonly claim: ResourceClaim;
  readonly picks: readonly Pick[];
}

export interface AllocateInput extends WantedSources {
  readonly claims: readonly ResourceClaim[];
}

export type Allocated = { readonly kind: 'allocated'; readonly claims: readonly ClaimPicks[] } | NoDevices;

/** Devices that are looked at for one node: beyond, claims that hinder each other in ever other ways are given up. */
const stepsMax = 50_000;
export const cannotAllocate = 'cannot allocate all claims';

/**
 * Devices of a node for all of the claims, or why there are none: the first solution of a search in order of claims, requests, ways and
 * devices, in which each choice is taken back when nothing can be had behind it (Allocator of
 * k8s.io/dynamic-resource-allocation/structured). Pure.
 */
export function allocate({ claims, ...sources }: AllocateInput): Allocated {
  const wanted: WantedClaim[] = [];
  for (const claim of claims) {
    const found = wantedOf(claim, sources);
    if ('reason' in found) return found;
    wanted.push(found);
  }
  const search = new Search(wanted, sources.taken);
  if (search.run()) return { kind: 'allocated', claims: search.result() };
  if (search.fault !== undefined) return { kind: 'failed', reason: search.fault };
  if (search.isExhausted) return { kind: 'refused', reason: 'timed out trying to allocate devices' };
  const isInvalid = sources.pools.some(({ pool }) => pool.problem !== undefined);
  return { kind: 'refused', reason: isInvalid ? 'invalid resource pools were encountered' : cannotAllocate };
}

class Search {
  readonly #claims: readonly WantedClaim[];
  readonly #taken: TakenDevices;
  /** By claim, in the order of taking. */
  readonly #picks: Pick[][];
  readonly #consumed = new Map<Pool, ReadonlyMap<string, bigint>>();
  #steps = 0;
  #fault: string | undefined;

  constructor(claims: readonly WantedClaim[], taken: TakenDevices) {
    this.#claims = claims;
    this.#taken = taken;
    this.#picks = claims.map(() => []);
  }

  /** A device was reached that a condition fails for: the search ended there. */
  get fault(): string | undefined {
    return this.#fault;
  }

  get isExhausted(): boolean {
    return this.#steps >= stepsMax;
  }

  run(): boolean {
    return this.#isHopeful() && this.#fillRequest(0, 0);
  }

  result(): readonly ClaimPicks[] {
    return this.#claims.map(({ claim }, index) => ({ claim, picks: this.#picks[index] ?? [] }));
  }

  /** Each request by itself finds enough that is free: nearly all nodes that do not do are told by that. */
  #isHopeful(): boolean {
    return this.#claims.every(({ requests }) =>
      requests.every((ways) =>
        ways.some(({ candidates, faults, count, isAdmin }) => {
          if (faults.size > 0) return true;
          const free = isAdmin ? candidates : candidates.filter((one) => !this.#taken.isWhole(one.id));
          return free.length >= count || free.some(({ device }) => device.allowMultipleAllocations === true);
        }),
      ),
    );
  }

  #fillRequest(claim: number, request: number): boolean {
    const of = this.#claims[claim];
    if (of === undefined) return true;
    const ways = of.requests[request];
    if (ways === undefined) return this.#fillRequest(claim + 1, 0);
    const place = { claim, request, constraints: of.claim.spec.devices?.constraints ?? [] };
    const countMax = resultCountMax - (this.#picks[claim]?.length ?? 0) - (of.countsBehind[request] ?? 0);
    return ways.some(
      (wanted) =>
        wanted.count > 0 && wanted.count <= countMax && this.#fill(wanted, place, { done: 0, from: 0 }),
    );
  }

  /** Takes the devices of one way, in order, so that no set of them is tried twice. */
  #fill(
    wanted: Wanted,
    place: Place,
    { done, from }: { readonly done: number; readonly from: number },
  ): boolean {
    if (done === wanted.count) return this.#fillRequest(place.claim, place.request + 1);
    const picks = this.#picks[place.claim] ?? [];
    const end = wanted.isAll ? from + 1 : wanted.candidates.length;
    for (let index = from; index < end && this.#fault === undefined; index++) {
      const of = wanted.candidates[index];
      if (of === undefined || this.#steps++ >= stepsMax) return false;
      const pick = this.#pickOf(wanted, of, place);
      if (pick === undefined) continue;
      picks.push(pick);
      const next = pick.share !== undefined && !wanted.isAll ? index : index + 1;
      if (this.#fill(wanted, place, { done: done + 1, from: next })) return true;
      picks.pop();
    }
    return false;
  }

  /** Undefined: the device cannot be had for it, by what was picked so far. */
  #pickOf(wanted: Wanted, of: PoolDevice, { claim, constraints }: Place): Pick | undefined {
    const { device } = of;
    const own = this.#picks[claim] ?? [];
    const fault = wanted.faults.get(of);
    if (fault !== undefined) {
      if (wanted.isAdmin || !this.#isInUse(of)) this.#fault = fault;
      return undefined;
    }
    if (wanted.isAll && !toleratesDevice(wanted.tolerations, device.taints)) return undefined;
    if (!constraints.every((constraint) => isKept(constraint, own, { wanted, of }))) return undefined;
    if (wanted.isAdmin) {
      // An admin looks at what others have, at each device once.
      return own.some((pick) => pick.of.id === of.id) ? undefined : { wanted, of, share: undefined };
    }
    if (this.#isInUse(of)) return undefined;
    const here = this.#picks.flat().filter((pick) => pick.of.id === of.id);
    const shares = this.#taken.sharesOf(of.id);
    if (device.allowMultipleAllocations !== true) {
      const isFree = shares === undefined && shareOf(device, wanted.capacity) !== undefined;
      return isFree && this.#hasCounters(of) ? { wanted, of, share: undefined } : undefined;
    }
    const share = shareOf(device, wanted.capacity, (name) =>
      here.reduce((sum, pick) => sum + (pick.share?.get(name) ?? 0n), shares?.get(name) ?? 0n),
    );
    if (share === undefined) return undefined;
    // Whoever has a share of it already has its counters.
    const isHad = shares !== undefined || here.length > 0;
    return isHad || this.#hasCounters(of) ? { wanted, of, share } : undefined;
  }

  #isInUse({ id }: PoolDevice): boolean {
    const isPicked = ({ of, share }: Pick): boolean => of.id === id && share === undefined;
    return this.#taken.isWhole(id) || this.#picks.some((picks) => picks.some(isPicked));
  }

  /** Whether what the device takes of its pool's counters is left. */
  #hasCounters({ pool, device }: PoolDevice): boolean {
    const { consumesCounters = [] } = device;
    if (consumesCounters.length === 0) return true;
    const used = new Map(this.#consumedOf(pool));
    const picked = new Map(
      this.#picks
        .flat()
        .filter((pick) => pick.of.pool === pool && !pick.wanted.isAdmin)
        .map(({ of }) => [of.id, of]),
    );
    for (const of of picked.values()) if (!this.#isTaken(of.id)) addCounters(used, of);
    return consumesCounters.every(({ counterSet, counters }) => {
      const all = pool.counters.get(counterSet);
      return [...countersOf(counters)].every(
        ([name, amount]) => (used.get(`${counterSet}/${name}`) ?? 0n) + amount <= (all?.get(name) ?? 0n),
      );
    });
  }

  #isTaken(id: string): boolean {
    return this.#taken.isWhole(id) || this.#taken.sharesOf(id) !== undefined;
  }

  /** What devices that claims have take of a pool's counters. */
  #consumedOf(pool: Pool): ReadonlyMap<string, bigint> {
    const known = this.#consumed.get(pool);
    if (known !== undefined) return known;
    const used = new Map<string, bigint>();
    for (const of of pool.devices) if (this.#isTaken(of.id)) addCounters(used, of);
    this.#consumed.set(pool, used);
    return used;
  }
}

interface Place {
  readonly claim: number;
  readonly request: number;
  readonly constraints: readonly DeviceConstraint[];
}

function addCounters(used: Map<string, bigint>, { device }: PoolDevice): void {
  for (const { counterSet, counters } of device.consumesCounters ?? []) {
    for (const [name, amount] of countersOf(counters)) {
      const key = `${counterSet}/${name}`;
      used.set(key, (used.get(key) ?? 0n) + amount);
    }
  }
}

/** Whether a constraint still holds with one device more. */
function isKept(
  { requests = [], matchAttribute, distinctAttribute }: DeviceConstraint,
  picks: readonly Pick[],
  next: Omit<Pick, 'share'>,
): boolean {
  const concerns = ({ name, request }: Wanted): boolean =>
    requests.length === 0 || requests.includes(request) || requests.includes(name);
  if (!concerns(next.wanted)) return true;
  const attribute = matchAttribute ?? distinctAttribute;
  if (attribute === undefined) return false; // Of a kind that is not known.
  const value = attributeText(next.of, attribute);
  if (value === undefined) return false;
  const others = picks.filter(({ wanted }) => concerns(wanted)).map(({ of }) => attributeText(of, attribute));
  return matchAttribute === undefined
    ? others.every((other) => other !== value)
    : others.every((other) => other === value);
}

/** Type and value of an attribute by its full name, which the driver's own are said without; undefined: the device has none. */
function attributeText({ pool: { driver }, device }: PoolDevice, fullName: string): string | undefined {
  const [domain, id] = splitName(driver, fullName);
  const { attributes = {} } = device;
  const found = attributes[fullName] ?? (domain === driver ? attributes[id] : undefined);
  return found === undefined ? undefined : textOf(found);
}

function textOf({ bool, int, string, version }: DeviceAttribute): string | undefined {
  if (string !== undefined) return `string ${string}`;
  if (int !== undefined) return `int ${int}`;
  if (bool !== undefined) return `bool ${bool}`;
  return version === undefined ? undefined : `version ${version}`;
}
