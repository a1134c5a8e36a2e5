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
 * What to write so that the slices hold exactly these groups. Endpoints stay in the slice in which they are, new ones fill what
 * room there is, so that a change touches as few slices as possible.
 */
export function planGroups(
  groups: readonly SliceGroup[],
  existing: readonly EndpointSlice[],
  { endpointsPerSliceMax, sliceOf }: SliceOwner,
): SlicePlan {
  const unused = new Set(existing);
  const create: EndpointSlice[] = [];
  const update: EndpointSlice[] = [];
  for (const group of groups) {
    const fitting = existing.filter(
      (slice) =>
        unused.has(slice) &&
        slice.addressType === group.addressType &&
        equalJson(slice.ports ?? [], group.ports),
    );
    const filled = fillSlices(group.endpoints, fitting, endpointsPerSliceMax);
    for (const [slice, endpoints] of filled.slices) {
      if (endpoints.length === 0 && (filled.slices.size > 1 || filled.rest.length > 0)) continue; // Stays unused: deleted.
      unused.delete(slice);
      const wanted = sliceOf({ ...group, endpoints }, slice);
      if (!isSameSlice(wanted, slice)) update.push(wanted);
    }
    for (let start = 0; start < filled.rest.length; start += endpointsPerSliceMax) {
      const endpoints = filled.rest.slice(start, start + endpointsPerSliceMax);
      create.push(sliceOf({ ...group, endpoints }));
    }
  }
  return { create, update, delete: [...unused] };
}

/** The endpoints by slice, kept where they are, and those for which there is no room. */
function fillSlices(
  endpoints: readonly Endpoint[],
  slices: readonly EndpointSlice[],
  endpointsPerSliceMax: number,
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
  for (const [slice, kept] of filled) {
    filled.set(slice, [...kept, ...rest.splice(0, endpointsPerSliceMax - kept.length)]);
  }
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
