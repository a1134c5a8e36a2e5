import { equalJson } from '#api/wire/json.ts';
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice, Service } from '#api/generated/objects.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';

export interface SlicePlan {
  readonly create: readonly EndpointSlice[];
  readonly update: readonly EndpointSlice[];
  readonly delete: readonly EndpointSlice[];
}

export type AddressType = 'IPv4' | 'IPv6';

/** Endpoints that may share a slice. */
export interface SliceGroup {
  readonly addressType: AddressType;
  readonly ports: readonly DiscoveryV1EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface SliceOwner {
  readonly endpointsPerSliceMax: number;
  /** A new slice, or `existing` as it has to be. */
  readonly sliceOf: (group: SliceGroup, existing?: EndpointSlice) => EndpointSlice;
}

/**
 * What to write so that the slices hold exactly these groups, touching as few as possible. Endpoints stay in the slice in which they
 * are; a slice that is to be created takes the place of one that is to be deleted, so that nobody sees the Service without either.
 */
export function planGroups(
  groups: readonly SliceGroup[],
  existing: readonly EndpointSlice[],
  { endpointsPerSliceMax, sliceOf }: SliceOwner,
): SlicePlan {
  const unused = new Set(existing);
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  const more: SliceGroup[] = [];
  for (const group of groups) {
    const fitting = existing.filter(
      (slice) =>
        unused.has(slice) &&
        slice.addressType === group.addressType &&
        equalJson(slice.ports ?? [], group.ports),
    );
    const wantedOf = (slice: EndpointSlice, endpoints: readonly Endpoint[]): EndpointSlice =>
      sliceOf({ ...group, endpoints }, slice);
    const isSame = (slice: EndpointSlice, kept: readonly Endpoint[]): boolean =>
      isSameSlice(wantedOf(slice, kept), slice);
    const filled = fillSlices(group.endpoints, fitting, { endpointsPerSliceMax, isSame });
    for (const [slice, endpoints] of filled.slices) {
      if (endpoints.length === 0) continue; // Stays unused.
      unused.delete(slice);
      const wanted = wantedOf(slice, endpoints);
      if (!isSameSlice(wanted, slice)) update.push(wanted);
    }
    for (let start = 0; start < filled.rest.length; start += endpointsPerSliceMax)
      more.push({ ...group, endpoints: filled.rest.slice(start, start + endpointsPerSliceMax) });
  }
  for (const group of more) {
    // The type of addresses of a slice cannot be changed.
    const old = unused.values().find(({ addressType }) => addressType === group.addressType);
    if (old === undefined) create.push(sliceOf(group));
    else {
      unused.delete(old);
      update.push(sliceOf(group, old));
    }
  }
  return { create, update, delete: [...unused] };
}

interface Filling {
  readonly endpointsPerSliceMax: number;
  /** Whether the slice with these endpoints would not have to be written. */
  readonly isSame: (slice: EndpointSlice, kept: readonly Endpoint[]) => boolean;
}

/**
 * The endpoints by slice, kept where they are, and those for which there is no room: new ones go to slices that are written anyway, the
 * fullest first; then, if all that are left fit into one other, to the one that they fill best.
 */
function fillSlices(
  endpoints: readonly Endpoint[],
  slices: readonly EndpointSlice[],
  { endpointsPerSliceMax, isSame }: Filling,
): { readonly slices: ReadonlyMap<EndpointSlice, readonly Endpoint[]>; readonly rest: readonly Endpoint[] } {
  const wanted = new Map(endpoints.map((endpoint) => [endpointKey(endpoint), endpoint]));
  const filled = new Map(
    slices.map((slice) => {
      const kept = (slice.endpoints ?? []).flatMap((endpoint) => {
        const key = endpointKey(endpoint);
        const current = wanted.get(key);
        wanted.delete(key);
        return current ?? [];
      });
      return [slice, kept] as const;
    }),
  );
  const rest = [...wanted.values()];
  if (rest.length === 0) return { slices: filled, rest };
  const fullestFirst = [...filled]
    .filter(([, kept]) => kept.length > 0 && kept.length < endpointsPerSliceMax)
    .toSorted(([, a], [, b]) => b.length - a.length);
  const untouched = fullestFirst.filter(([slice, kept]) => isSame(slice, kept));
  for (const [slice, kept] of fullestFirst) {
    if (untouched.some(([one]) => one === slice)) continue;
    filled.set(slice, [...kept, ...rest.splice(0, endpointsPerSliceMax - kept.length)]);
  }
  // Whole slices are made of what is left, and what is left of that may go to another.
  const last = rest.splice(rest.length - (rest.length % endpointsPerSliceMax));
  const best = untouched.find(([, kept]) => kept.length + last.length <= endpointsPerSliceMax);
  if (best === undefined || last.length === 0) return { slices: filled, rest: [...rest, ...last] };
  filled.set(best[0], [...best[1], ...last]);
  return { slices: filled, rest };
}

/** What tells an endpoint from others of its Service. */
export function endpointKey({ addresses, targetRef }: Endpoint): string {
  return `${targetRef?.uid ?? ''}/${addresses.join(',')}`;
}

/** A server may leave empty lists and maps out. */
export function isSameSlice(a: EndpointSlice, b: EndpointSlice): boolean {
  const relevant = ({ metadata, ports = [] }: EndpointSlice): unknown => [
    metadata?.labels,
    metadata?.annotations ?? {},
    metadata?.ownerReferences,
    ports,
  ];
  const [before = [], after = []] = [a.endpoints, b.endpoints];
  const isSame = (one: Endpoint, index: number): boolean => isSameEndpoint(one, after[index]);
  return before.length === after.length && before.every(isSame) && equalJson(relevant(a), relevant(b));
}

/** What an endpoint was last found to be the same as: neither changes, and most are compared again and again. */
const same = new WeakMap<Endpoint, Endpoint>();

function isSameEndpoint(a: Endpoint, b: Endpoint | undefined): boolean {
  if (b === undefined) return false;
  if (same.get(b) === a) return true;
  const isEqual = equalJson(a, b);
  if (isEqual) same.set(b, a);
  return isEqual;
}

/** The key of the Service that a slice says it is of. */
export function serviceKeyOf(slice: EndpointSlice | undefined): string | undefined {
  const { metadata } = slice ?? {};
  const name = metadata?.labels?.[serviceNameLabel];
  return name === undefined ? undefined : `${metadata?.namespace ?? ''}/${name}`;
}

/** Without a selector the endpoints of a Service are told by somebody else, by slices or by an Endpoints object. */
export function hasSelector(service: Service): boolean {
  return Object.keys(service.spec?.selector ?? {}).length > 0;
}
