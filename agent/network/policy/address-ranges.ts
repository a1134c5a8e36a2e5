import {
  addToIp,
  cidrContains,
  cidrsOverlap,
  compareIps,
  firstOf,
  formatIp,
  lastOf,
  type Ip,
} from '#base/ip.ts';
import type { BlockPeer } from './parse-policy.ts';

interface Range {
  readonly first: Ip;
  readonly last: Ip;
}

/**
 * The addresses of blocks of one family, each without its exceptions, as `first-last` or one address, in ascending order. No two touch:
 * what the kernel takes as elements of one set.
 */
export function rangesOf(blocks: readonly BlockPeer[]): readonly string[] {
  const sorted = blocks.flatMap(partsOf).toSorted((a, b) => compareIps(a.first, b.first));
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    const after = last === undefined ? undefined : addToIp(last.last, 1);
    // Nothing comes after the last address that there is.
    const isApart = last === undefined || (after !== undefined && compareIps(range.first, after) > 0);
    if (isApart) merged.push(range);
    else if (compareIps(range.last, last.last) > 0)
      merged[merged.length - 1] = { first: last.first, last: range.last };
  }
  return merged.map(({ first, last }) =>
    compareIps(first, last) === 0 ? formatIp(first) : `${formatIp(first)}-${formatIp(last)}`,
  );
}

function partsOf({ cidr, except }: BlockPeer): readonly Range[] {
  const holes = except
    .filter((hole) => cidrsOverlap(cidr, hole))
    .toSorted((a, b) => compareIps(firstOf(a), firstOf(b)));
  const parts: Range[] = [];
  let next: Ip | undefined = firstOf(cidr);
  for (const hole of holes) {
    if (next === undefined) break;
    const before = addToIp(firstOf(hole), -1);
    if (before !== undefined && compareIps(next, before) <= 0) parts.push({ first: next, last: before });
    const after = addToIp(lastOf(hole), 1);
    // One hole may lie in another.
    if (after === undefined || compareIps(after, next) > 0) next = after;
  }
  const last = lastOf(cidr);
  if (next !== undefined && compareIps(next, last) <= 0) parts.push({ first: next, last });
  return parts;
}

/** Whether an address is meant by a block. */
export function blockContains({ cidr, except }: BlockPeer, ip: Ip): boolean {
  return cidrContains(cidr, ip) && !except.some((hole) => cidrContains(hole, ip));
}
