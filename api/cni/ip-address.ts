import { isIP } from 'node:net';

/** An address as a number; `value` is below 2^32 (family 4) or 2^128 (family 6). */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** An address with the length of its network's prefix: `10.244.0.5/24` keeps the host part. */
export interface Cidr {
  readonly ip: IpAddress;
  readonly prefix: number;
}

/** Undefined if the text is not an address (zones such as `fe80::1%eth0` are not). */
export function parseIp(text: string): IpAddress | undefined {
  if (text.includes('%')) return undefined;
  const family = isIP(text);
  if (family === 4) return { family: 4, value: parseGroups(text.split('.'), 10, 8n) };
  if (family !== 6) return undefined;
  return { family: 6, value: parseGroups(expandIpv6(text), 16, 16n) };
}

/** The canonical text; RFC 5952 for IPv6. */
export function formatIp(ip: IpAddress): string {
  if (ip.family === 4) return groupsOf(ip.value, 4, 8n).join('.');
  const groups = groupsOf(ip.value, 8, 16n).map((group) => group.toString(16));
  const text = groups.join(':');
  // The longest run of zero groups, at least two, the first of equals, becomes `::`.
  const zeros = [...text.matchAll(/\b0(?::0)+\b/g)].toSorted((a, b) => b[0].length - a[0].length)[0];
  if (zeros === undefined) return text;
  const before = text.slice(0, zeros.index).replace(/:$/, '');
  const after = text.slice(zeros.index + zeros[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

/** Undefined if the text is not `address/prefix`. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  const ip = parseIp(match?.[1] ?? '');
  const prefix = Number(match?.[2]);
  if (ip === undefined || prefix > bitsOf(ip.family)) return undefined;
  return { ip, prefix };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.ip)}/${cidr.prefix}`;
}

/** 32 or 128. */
export function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** The lowest and the highest address of a network. */
export function boundsOf(cidr: Cidr): { readonly first: bigint; readonly last: bigint } {
  const hostBits = BigInt(bitsOf(cidr.ip.family) - cidr.prefix);
  const first = (cidr.ip.value >> hostBits) << hostBits;
  return { first, last: first + (1n << hostBits) - 1n };
}

export function cidrContains(cidr: Cidr, ip: IpAddress): boolean {
  const { first, last } = boundsOf(cidr);
  return ip.family === cidr.ip.family && ip.value >= first && ip.value <= last;
}

function parseGroups(groups: readonly string[], radix: number, bits: bigint): bigint {
  return groups.reduce((value, group) => (value << bits) | BigInt(Number.parseInt(group, radix)), 0n);
}

function groupsOf(value: bigint, count: number, bits: bigint): number[] {
  const mask = (1n << bits) - 1n;
  return Array.from({ length: count }, (_, i) => Number((value >> (bits * BigInt(count - 1 - i))) & mask));
}

/** Eight groups of hex digits of an address that `isIP` accepted. */
function expandIpv6(text: string): readonly string[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(2).map(Number);
    return expandIpv6(`${dotted[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const headGroups = head === '' ? [] : head.split(':');
  if (tail === undefined) return headGroups;
  const tailGroups = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - headGroups.length - tailGroups.length }, () => '0');
  return [...headGroups, ...zeros, ...tailGroups];
}
