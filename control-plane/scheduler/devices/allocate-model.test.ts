import { expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import type {
  Device,
  DeviceRequest,
  ResourceSlice,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { allocate, type ClaimPicks } from './allocate.ts';
import { claim, device, deviceClass, driver, request, slice } from './devices.fixture.ts';
import { indexPools } from './pools.ts';
import { DeviceLedger } from './taken-devices.ts';

/** What is asked of one device, by hand: `kind` of a device, numa nodes that must be one, memory of a card of 4. */
interface Given {
  readonly devices: readonly Device[];
  readonly claims: readonly ResourceClaim[];
  readonly taken: readonly string[];
}

const memoryOf = ({ consumesCounters = [] }: Device): number =>
  Number(consumesCounters[0]?.counters['memory']?.value ?? 0);
const kindOf = ({ attributes }: Device): number => attributes?.['kind']?.int ?? -1;
const numaOf = ({ attributes }: Device): number | undefined => attributes?.['numa']?.int;

function given(random: () => number): Given {
  const upTo = (count: number): number => Math.floor(random() * count);
  const devices = Array.from({ length: 1 + upTo(4) }, (_, index) =>
    device(`d${index}`, {
      attributes: { kind: { int: upTo(2) }, ...(upTo(4) === 0 ? {} : { numa: { int: upTo(2) } }) },
      ...(upTo(2) === 0
        ? {}
        : { consumesCounters: [{ counterSet: 'card', counters: { memory: { value: `${1 + upTo(3)}` } } }] }),
    }),
  );
  const ask = (): { readonly deviceClassName: string; readonly count: number } => ({
    deviceClassName: `kind${upTo(2)}`,
    count: 1 + upTo(2),
  });
  const requestOf = (index: number): DeviceRequest =>
    upTo(3) === 0
      ? {
          name: `r${index}`,
          firstAvailable: [
            { name: 'x', ...ask() },
            { name: 'y', ...ask() },
          ],
        }
      : upTo(8) === 0
        ? request(`r${index}`, { ...ask(), allocationMode: 'All', count: undefined })
        : request(`r${index}`, ask());
  const claims = Array.from({ length: 1 + upTo(2) }, (_, index) => {
    const constraints =
      upTo(2) === 0
        ? []
        : [{ matchAttribute: `${driver}/numa`, ...(upTo(2) === 0 ? { requests: ['r0'] } : {}) }];
    const requests = Array.from({ length: 1 + upTo(2) }, (__, number) => requestOf(number));
    return claim(`c${index}`, requests, { constraints });
  });
  return { devices, claims, taken: devices.filter(() => upTo(5) === 0).map(({ name }) => name) };
}

/** One place for a device: of which claim and request, of which kind. */
interface Slot {
  readonly claim: number;
  readonly request: string;
  readonly kind: number;
}

/** All ways to write down what is asked for as places for single devices. */
function slotLists({ claims, devices }: Given): readonly (readonly Slot[])[] {
  let lists: (readonly Slot[])[] = [[]];
  for (const [index, { spec }] of claims.entries()) {
    for (const { name, exactly, firstAvailable = [] } of spec.devices?.requests ?? []) {
      const ways = exactly === undefined ? firstAvailable : [exactly];
      lists = lists.flatMap((list) =>
        ways.flatMap((way) => {
          const kind = Number(way.deviceClassName.slice(4));
          const all = devices.filter((each) => kindOf(each) === kind).length;
          const count = way.allocationMode === 'All' ? all : (way.count ?? 1);
          if (count === 0) return [];
          const slot = { claim: index, request: name, kind };
          return [[...list, ...Array.from({ length: count }, () => slot)]];
        }),
      );
    }
  }
  return lists;
}

/** Whether these devices in these places are in order, by the documentation alone. */
function isRight(
  slots: readonly Slot[],
  chosen: readonly Device[],
  { claims, taken, devices }: Given,
): boolean {
  if (new Set(chosen).size !== chosen.length || chosen.some(({ name }) => taken.includes(name))) return false;
  if (slots.some(({ kind }, at) => kindOf(chosen[at] ?? device('')) !== kind)) return false;
  const used = devices.filter((each) => chosen.includes(each) || taken.includes(each.name));
  if (used.reduce((sum, each) => sum + memoryOf(each), 0) > 4 && chosen.some((each) => memoryOf(each) > 0))
    return false;
  return claims.every(({ spec }, index) =>
    (spec.devices?.constraints ?? []).every(({ requests = [] }) => {
      const concerned = chosen.filter((_, at) => {
        const slot = slots[at];
        return slot?.claim === index && (requests.length === 0 || requests.includes(slot.request));
      });
      const values = new Set(concerned.map(numaOf));
      return values.size <= 1 && !values.has(undefined);
    }),
  );
}

function canBe(of: Given, slots: readonly Slot[], chosen: readonly Device[] = []): boolean {
  if (chosen.length === slots.length) return isRight(slots, chosen, of);
  return of.devices.some((each) => !chosen.includes(each) && canBe(of, slots, [...chosen, each]));
}

function slotsOf(claims: readonly ClaimPicks[]): readonly Slot[] {
  return claims.flatMap(({ picks }, index) =>
    picks.map(({ wanted }) => ({
      claim: index,
      request: wanted.request,
      kind: Number(wanted.deviceClass.metadata?.name?.slice(4)),
    })),
  );
}

function ask(of: Given): readonly ClaimPicks[] | undefined {
  const pool = { name: 'n1', generation: 1, resourceSliceCount: 2 };
  const sharedCounters = [{ name: 'card', counters: { memory: { value: '4' } } }];
  const slices: readonly ResourceSlice[] = [slice(of.devices, { pool }), slice([], { pool, sharedCounters })];
  const taken = new DeviceLedger();
  const results = of.taken.map((name) => ({ request: 'r', driver, pool: 'n1', device: name }));
  taken.set('default/other', { ...claim('other', []), status: { allocation: { devices: { results } } } });
  const allocated = allocate({
    claims: of.claims,
    taken,
    pools: indexPools(slices).for({ metadata: { name: 'n1' } }),
    deviceClass: (name) =>
      deviceClass(name, {
        selectors: [{ cel: { expression: `device.attributes['${driver}'].kind == ${name.slice(4)}` } }],
      }),
  });
  return allocated.kind === 'allocated' ? allocated.claims : undefined;
}

it('finds devices where there are any that do, and only such', () => {
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 1_000_000);
  const random = createRandom(seed);
  const found = { some: 0, none: 0 };
  for (let round = 0; round < 1500; round++) {
    const of = given(random);
    const told = `seed ${seed}, round ${round}: ${JSON.stringify(of)}`;
    const claims = ask(of);
    if (claims === undefined) {
      expect(
        slotLists(of).some((slots) => canBe(of, slots)),
        told,
      ).toBe(false);
      found.none++;
    } else {
      const slots = slotsOf(claims);
      const chosen = claims.flatMap(({ picks }) => picks.map((pick) => pick.of.device));
      expect(slotLists(of), told).toContainEqual(slots);
      expect(isRight(slots, chosen, of), told).toBe(true);
      found.some++;
    }
  }
  expect(Math.min(found.some, found.none)).toBeGreaterThan(100);
});
