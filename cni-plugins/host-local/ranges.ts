import type { JsonObject } from '#api/meta/object.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import {
  addToIp,
  bitsOf,
  cidrContains,
  compareIps,
  distanceOf,
  firstOf,
  formatIp,
  ipsBetween,
  lastOf,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type Ip,
} from '#base/ip.ts';

/** Addresses to give out: first to last, of one subnet, without the gateway. */
export interface Range {
  readonly subnet: Cidr;
  readonly first: Ip;
  readonly last: Ip;
  readonly gateway: Ip;
}

/** A container gets one address of each set. */
export type RangeSet = readonly Range[];

/**
 * Reads `ranges` (and the older `subnet`, `rangeStart`, `rangeEnd`, `gateway`). Those of the runtime are first: a container's first
 * address is of them. @throws {E_INVALID}
 */
export function parseRangeSets(ipam: JsonObject, fromRuntime: readonly unknown[] = []): readonly RangeSet[] {
  const legacy = ipam['subnet'] === undefined ? [] : [[ipam]];
  const sets = [...fromRuntime, ...legacy, ...field.array(ipam, 'ranges')].map((set, i) => {
    const ranges = field.objects({ set }, 'set').map(parseRange);
    const [first] = ranges;
    if (first === undefined) throw invalid(`ranges[${i}]: empty`);
    if (ranges.some((range) => range.first.family !== first.first.family))
      throw invalid(`ranges[${i}]: mixes IPv4 and IPv6`);
    return ranges;
  });
  if (sets.length === 0) throw invalid('no ranges');
  const all = sets.flat();
  for (const [i, range] of all.entries()) {
    const other = all.slice(i + 1).find((later) => overlap(range, later));
    if (other !== undefined) throw invalid(`ranges ${describe(range)} and ${describe(other)} overlap`);
  }
  return sets;
}

/** The range of a set that an address belongs to. */
export function rangeOf(set: RangeSet, ip: Ip): Range | undefined {
  return set.find((range) => isWithin(ip, range));
}

/**
 * Every address of a set once, from the one after `lastReserved`, round and round: so a container that crashes in a
 * loop does not get the same address before all others were given out.
 */
export function* candidates(
  set: RangeSet,
  lastReserved: Ip | undefined,
): Generator<{ readonly ip: Ip; readonly range: Range }> {
  const start = lastReserved === undefined ? undefined : rangeOf(set, lastReserved);
  if (start === undefined || lastReserved === undefined) {
    for (const range of set) yield* addressesOf(range, range.first, range.last);
    return;
  }
  const next = addToIp(lastReserved, 1);
  if (next !== undefined) yield* addressesOf(start, next, start.last);
  const startIndex = set.indexOf(start);
  for (const range of [...set.slice(startIndex + 1), ...set.slice(0, startIndex)]) {
    yield* addressesOf(range, range.first, range.last);
  }
  yield* addressesOf(start, start.first, lastReserved);
}

/** How many addresses a set has to give. Exact below 2^53. */
export function capacityOf(set: RangeSet): bigint {
  const sizeOf = (range: Range): number =>
    distanceOf(range.first, range.last) + (isWithin(range.gateway, range) ? 0 : 1);
  return set.reduce((sum, range) => sum + BigInt(sizeOf(range)), 0n);
}

function* addressesOf(range: Range, from: Ip, to: Ip): Generator<{ readonly ip: Ip; readonly range: Range }> {
  for (const ip of ipsBetween(from, to)) if (compareIps(ip, range.gateway) !== 0) yield { ip, range };
}

function isWithin(ip: Ip, { first, last }: Range): boolean {
  return compareIps(first, ip) <= 0 && compareIps(ip, last) <= 0;
}

function parseRange(document: JsonObject): Range {
  const text = field.string(document, 'subnet') ?? '';
  const subnet = parseCidr(text);
  if (subnet === undefined) throw invalid(`subnet ${JSON.stringify(text)}: not a CIDR`);
  const lowest = firstOf(subnet);
  const highest = lastOf(subnet);
  // The first address names the network; the last one is IPv4's broadcast.
  const first = addToIp(lowest, 1);
  const last = subnet.ip.family === 4 ? addToIp(highest, -1) : highest;
  if (first === undefined || last === undefined || subnet.prefix > bitsOf(subnet.ip.family) - 2)
    throw invalid(`subnet ${text}: too small for a gateway and a container`);
  const read = (name: string, otherwise: Ip): Ip => {
    const value = field.string(document, name);
    if (value === undefined) return otherwise;
    const ip = parseIp(value);
    if (ip === undefined || !cidrContains(subnet, ip))
      throw invalid(`${name} ${value}: not an address of ${text}`);
    return ip;
  };
  const range = {
    subnet: networkOf(subnet),
    first: read('rangeStart', first),
    last: read('rangeEnd', last),
    gateway: read('gateway', first),
  };
  if (compareIps(range.first, range.last) > 0)
    throw invalid(`range ${describe(range)}: ends before it starts`);
  return range;
}

function overlap(a: Range, b: Range): boolean {
  return compareIps(a.first, b.last) <= 0 && compareIps(b.first, a.last) <= 0;
}

function describe(range: Range): string {
  return `${formatIp(range.first)}-${formatIp(range.last)}`;
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `host-local: ${message}`);
}
