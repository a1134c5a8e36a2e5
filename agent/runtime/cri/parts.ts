/** How many of a list are in one message of a stream. */
const partMax = 100;

/** At least one part, so that an empty list is told. */
export function* inParts<T>(list: readonly T[]): Iterable<readonly T[]> {
  for (let at = 0; at === 0 || at < list.length; at += partMax) yield list.slice(at, at + partMax);
}
