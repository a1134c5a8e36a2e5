import type { EndpointSubset } from '#api/generated/objects.ts';

/**
 * At most so many addresses: those that are not ready go first, and of those that are short each subset keeps its share, rounded up, in the
 * order of subsets (truncateEndpoints of the endpoints controller). Pure.
 */
export function truncateSubsets(
  subsets: readonly EndpointSubset[],
  addressesMax: number,
): { readonly subsets: readonly EndpointSubset[]; readonly isTruncated: boolean } {
  const count = (field: 'addresses' | 'notReadyAddresses'): number =>
    subsets.reduce((sum, subset) => sum + (subset[field]?.length ?? 0), 0);
  const [ready, notReady] = [count('addresses'), count('notReadyAddresses')];
  if (ready + notReady <= addressesMax) return { subsets, isTruncated: false };
  const isReadyShort = ready > addressesMax;
  const room = isReadyShort ? addressesMax : addressesMax - ready;
  const short = isReadyShort ? ready : notReady;
  let left = room;
  const kept = subsets.map(({ addresses = [], notReadyAddresses = [], ...rest }) => {
    const all = isReadyShort ? addresses : notReadyAddresses;
    const some = all.slice(0, Math.min(left, Math.ceil((all.length / short) * room)));
    left -= some.length;
    return isReadyShort
      ? subsetOf(rest, { addresses: some, notReadyAddresses: [] })
      : subsetOf(rest, { addresses, notReadyAddresses: some });
  });
  return { subsets: kept, isTruncated: true };
}

/** A list that is empty is not there. */
function subsetOf(
  rest: EndpointSubset,
  { addresses = [], notReadyAddresses = [] }: EndpointSubset,
): EndpointSubset {
  return {
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(notReadyAddresses.length === 0 ? {} : { notReadyAddresses }),
    ...rest,
  };
}
