import type { Endpoint, EndpointSlice, Service } from '#api/generated/objects.ts';
import { isSameSlice, type AddressType, type SlicePlan } from './slices.ts';
import type { ZoneShares } from './zone-shares.ts';

/*
 * Hints by which each zone has as large a part of the endpoints as it has of the processors: service.kubernetes.io/topology-mode
 * (KEP-2433; k8s.io/endpointslice/topologycache, whose words events have).
 */

/** By how much more than its part an endpoint may be asked. */
const overloadMax = 0.2;

/** How many endpoints are a zone's. */
interface Allocation {
  readonly minimum: number;
  readonly maximum: number;
  readonly desired: number;
}

/** The plan of slices of one family with hints, or without any, and why. */
export interface HintedPlan {
  readonly plan: SlicePlan;
  readonly problem?: string;
}

/** Whether a Service asks for such hints. Its `trafficDistribution` does not count then. */
export function wantsZoneHints({ metadata }: Service): boolean {
  const { annotations = {} } = metadata ?? {};
  const mode =
    annotations['service.kubernetes.io/topology-aware-hints'] ??
    annotations['service.kubernetes.io/topology-mode'];
  return mode === 'Auto' || mode === 'auto';
}

/**
 * Hints of all slices of a family. What stays as it is keeps its hints as long as no zone has too many by them, so that a change
 * touches few slices; endpoints of the others are first their own zone's, then some are given to zones that have too few. Pure.
 */
export function planZoneHints(
  plan: SlicePlan,
  existing: readonly EndpointSlice[],
  { addressType, shares }: { readonly addressType: AddressType; readonly shares: ZoneShares | undefined },
): HintedPlan {
  const ofFamily = (slice: EndpointSlice): boolean => slice.addressType === addressType;
  const touched = new Set([...plan.update, ...plan.delete].map(({ metadata }) => metadata?.name));
  const kept = existing.filter((slice) => ofFamily(slice) && !touched.has(slice.metadata?.name));
  const [create, update] = [plan.create.filter(ofFamily), plan.update.filter(ofFamily)];
  const count = [...create, ...update, ...kept].flatMap(readyOf).length;
  const allocations = allocate(shares, count);
  const without = (problem: string): HintedPlan => {
    const cleared = {
      create: create.map(withoutHints),
      update: [...update, ...kept.filter(hasHints)].map(withoutHints),
    };
    return { plan: merged(plan, existing, { addressType, ...cleared }), problem };
  };
  if (typeof allocations === 'string') return without(allocations);

  const { allocated, unfit } = keptHints(kept, allocations);
  const changing = [...create, ...update, ...unfit];
  const homes = changing.flatMap(readyOf).map(({ zone = '' }) => zone);
  if (homes.includes('')) return without('One or more endpoints do not have a zone specified');
  for (const zone of homes) allocated.set(zone, (allocated.get(zone) ?? 0) + 1);
  const zones = redistribute(homes, movesOf(allocations, allocated))[Symbol.iterator]();
  const hinted = changing.map((slice) => withZones(slice, zones));
  const changes = { create: hinted.slice(0, create.length), update: hinted.slice(create.length) };
  return { plan: merged(plan, existing, { addressType, ...changes }) };
}

/** The plan with other slices of the family; those that are as they were are not written. */
function merged(
  plan: SlicePlan,
  existing: readonly EndpointSlice[],
  {
    addressType,
    create,
    update,
  }: Pick<SlicePlan, 'create' | 'update'> & { readonly addressType: AddressType },
): SlicePlan {
  const isOther = (slice: EndpointSlice): boolean => slice.addressType !== addressType;
  const isNews = (slice: EndpointSlice): boolean => {
    const before = existing.find(({ metadata }) => metadata?.name === slice.metadata?.name);
    return before === undefined || !isSameSlice(slice, before);
  };
  return {
    create: [...plan.create.filter(isOther), ...create],
    update: [...plan.update.filter(isOther), ...update.filter(isNews)],
    delete: plan.delete,
  };
}

/** How many endpoints are to be each zone's; a text says why none are. */
function allocate(shares: ZoneShares | undefined, count: number): ReadonlyMap<string, Allocation> | string {
  if (shares === undefined)
    return 'Insufficient Node information: allocatable CPU or zone not specified on one or more nodes';
  const counts = `(${count} endpoints, ${shares.size} zones)`;
  if (shares.size > count) return `Insufficient number of endpoints ${counts}`;
  const wanted = [...shares].map(([zone, share]) => {
    const desired = share * count;
    const minimum = Math.ceil(desired * (1 / (1 + overloadMax)));
    return { zone, minimum, desired: Math.max(desired, minimum) };
  });
  const spare = count - wanted.reduce((sum, { minimum }) => sum + minimum, 0);
  if (spare < 0)
    return `Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ${counts}`;
  return new Map(
    wanted.map(({ zone, minimum, desired }) => [zone, { minimum, desired, maximum: minimum + spare }]),
  );
}

/** How many endpoints zones have by slices that stay as they are, and which cannot: an endpoint has no hint, or a zone too many. */
function keptHints(
  kept: readonly EndpointSlice[],
  allocations: ReadonlyMap<string, Allocation>,
): { readonly allocated: Map<string, number>; readonly unfit: readonly EndpointSlice[] } {
  const allocated = new Map<string, number>();
  const unfit = kept.filter((slice) => {
    const counts = new Map<string, number>();
    for (const { hints } of readyOf(slice)) {
      const zones = hints?.forZones ?? [];
      if (zones.length === 0) return true;
      for (const { name } of zones) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const total = (zone: string): number => (counts.get(zone) ?? 0) + (allocated.get(zone) ?? 0);
    if (counts.keys().some((zone) => total(zone) > (allocations.get(zone)?.maximum ?? -1))) return true;
    for (const zone of counts.keys()) allocated.set(zone, total(zone));
    return false;
  });
  return { allocated, unfit };
}

/** How many endpoints zones give away, and how many they get. */
interface Moves {
  readonly giving: Map<string, number>;
  readonly receiving: Map<string, number>;
}

/** Whole endpoints go from the zone with most too many to the one with most too few, while that is nearer to what is desired. */
export function movesOf(
  allocations: ReadonlyMap<string, Pick<Allocation, 'desired'>>,
  allocated: ReadonlyMap<string, number>,
): Moves {
  const differences = [...allocations]
    .map(([zone, { desired }]) => ({ zone, left: (allocated.get(zone) ?? 0) - desired }))
    .toSorted((a, b) => (a.zone < b.zone ? -1 : 1));
  const over = differences.filter(({ left }) => left > 0);
  const under = differences.filter(({ left }) => left < 0).map(({ zone, left }) => ({ zone, left: -left }));
  const moves: Moves = { giving: new Map(), receiving: new Map() };
  for (;;) {
    const [giver, receiver] = [mostOf(over), mostOf(under)];
    if (giver === undefined || receiver === undefined) return moves;
    if (giver.left < 1 && receiver.left < 1) return moves;
    if (giver.left < 0.5 || receiver.left < 0.5) return moves;
    moves.giving.set(giver.zone, (moves.giving.get(giver.zone) ?? 0) + 1);
    moves.receiving.set(receiver.zone, (moves.receiving.get(receiver.zone) ?? 0) + 1);
    giver.left -= 1;
    receiver.left -= 1;
  }
}

function mostOf<T extends { left: number }>(of: readonly T[]): T | undefined {
  return of.reduce<T | undefined>((most, one) => (one.left > (most?.left ?? 0) ? one : most), undefined);
}

/** The zones in whose favour endpoints are that stand in these. */
function redistribute(homes: readonly string[], { giving, receiving }: Moves): readonly string[] {
  const take = (from: Map<string, number>, zone: string): void => {
    const left = (from.get(zone) ?? 0) - 1;
    if (left > 0) from.set(zone, left);
    else from.delete(zone);
  };
  return homes.map((zone) => {
    const [receiver] = receiving.keys();
    if (receiver === undefined || !giving.has(zone)) return zone;
    take(giving, zone);
    take(receiving, receiver);
    return receiver;
  });
}

function readyOf({ endpoints }: EndpointSlice): readonly Endpoint[] {
  return (endpoints ?? []).filter(isReady);
}

function isReady({ conditions }: Endpoint): boolean {
  return conditions?.ready === true;
}

function hasHints({ endpoints }: EndpointSlice): boolean {
  return (endpoints ?? []).some(({ hints }) => hints !== undefined);
}

function withoutHints(slice: EndpointSlice): EndpointSlice {
  return { ...slice, endpoints: (slice.endpoints ?? []).map(unhinted) };
}

function unhinted({ hints: _hints, ...endpoint }: Endpoint): Endpoint {
  return endpoint;
}

/** The slice whose endpoints that are ready have these zones, one after another. */
function withZones(slice: EndpointSlice, zones: Iterator<string, undefined>): EndpointSlice {
  const endpoints = (slice.endpoints ?? []).map((endpoint) => {
    const zone = isReady(endpoint) ? zones.next().value : undefined;
    return {
      ...unhinted(endpoint),
      ...(zone === undefined ? {} : { hints: { forZones: [{ name: zone }] } }),
    };
  });
  return { ...slice, endpoints };
}
