import type { JsonObject } from '#api/object.ts';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import {
  boundsOf,
  cidrContains,
  formatIp,
  parseCidr,
  parseIp,
  type Cidr,
  type IpAddress,
} from '#api/cni/ip-address.ts';
import { field } from '#api/cni/json-field.ts';

/** Addresses to give out: first to last, of one subnet, without the gateway. */
export interface Range {
  readonly subnet: Cidr;
  readonly first: IpAddress;
  readonly last: IpAddress;
  readonly gateway: IpAddress;
}

/** A container gets one address of each set. */
export type RangeSet = readonly Range[];

/** Reads `ranges` (and the older `subnet`, `rangeStart`, `rangeEnd`, `gateway`). @throws {E_INVALID} */
export function parseRangeSets(ipam: JsonObject, fromRuntime: readonly unknown[] = []): readonly RangeSet[] {
  const legacy = ipam['subnet'] === undefined ? [] : [[ipam]];
  const sets = [...legacy, ...fromRuntime, ...field.array(ipam, 'ranges')].map((set, i) => {
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
export function rangeOf(set: RangeSet, ip: IpAddress): Range | undefined {
  return set.find(
    (range) =>
      range.first.family === ip.family && range.first.value <= ip.value && ip.value <= range.last.value,
  );
}

/**
 * Every address of a set once, from the one after `lastReserved`, round and round: so a container that crashes in a
 * loop does not get the same address before all others were given out.
 */
export function* candidates(
  set: RangeSet,
  lastReserved: IpAddress | undefined,
): Generator<{ readonly ip: IpAddress; readonly range: Range }> {
  const start = lastReserved === undefined ? undefined : rangeOf(set, lastReserved);
  const startIndex = start === undefined ? 0 : set.indexOf(start);
  const after = start === undefined || lastReserved === undefined ? undefined : lastReserved.value;
  const ordered = [...set.slice(startIndex), ...set.slice(0, startIndex)];
  for (const [i, range] of ordered.entries()) {
    const from = i === 0 && after !== undefined ? after + 1n : range.first.value;
    yield* addressesOf(range, from, range.last.value);
  }
  if (start !== undefined && after !== undefined) yield* addressesOf(start, start.first.value, after);
}

/** How many addresses a set has to give. */
export function capacityOf(set: RangeSet): bigint {
  return set.reduce((sum, { first, last, gateway }) => {
    const hasGateway = gateway.value >= first.value && gateway.value <= last.value;
    return sum + last.value - first.value + 1n - (hasGateway ? 1n : 0n);
  }, 0n);
}

function* addressesOf(
  range: Range,
  from: bigint,
  to: bigint,
): Generator<{ readonly ip: IpAddress; readonly range: Range }> {
  for (let value = from; value <= to; value++) {
    if (value !== range.gateway.value) yield { ip: { family: range.first.family, value }, range };
  }
}

function parseRange(document: JsonObject): Range {
  const text = field.string(document, 'subnet') ?? '';
  const subnet = parseCidr(text);
  if (subnet === undefined) throw invalid(`subnet ${JSON.stringify(text)}: not a CIDR`);
  const { first: lowest, last: highest } = boundsOf(subnet);
  // The first address names the network; the last one is IPv4's broadcast.
  const usableLast = subnet.ip.family === 4 ? highest - 1n : highest;
  if (usableLast - lowest < 1n) throw invalid(`subnet ${text}: too small for a gateway and a container`);
  const { family } = subnet.ip;
  const read = (name: string, otherwise: bigint): IpAddress => {
    const value = field.string(document, name);
    if (value === undefined) return { family, value: otherwise };
    const ip = parseIp(value);
    if (ip === undefined || !cidrContains(subnet, ip))
      throw invalid(`${name} ${value}: not an address of ${text}`);
    return ip;
  };
  const range = {
    subnet: { ip: { family, value: lowest }, prefix: subnet.prefix },
    first: read('rangeStart', lowest + 1n),
    last: read('rangeEnd', usableLast),
    gateway: read('gateway', lowest + 1n),
  };
  if (range.first.value > range.last.value) throw invalid(`range ${describe(range)}: ends before it starts`);
  return range;
}

function overlap(a: Range, b: Range): boolean {
  return a.first.family === b.first.family && a.first.value <= b.last.value && b.first.value <= a.last.value;
}

function describe(range: Range): string {
  return `${formatIp(range.first)}-${formatIp(range.last)}`;
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `host-local: ${message}`);
}
