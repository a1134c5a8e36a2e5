/**
 * Addresses and networks of both families: the only place that reads, writes and counts them
 * (docs/decisions/0011-one-address-type.md).
 * Pure, and without BigInt: it is asked for every endpoint, lease and reverse name.
 *
 * What is read is what Kubernetes 1.36 lets into new objects (StrictIPCIDRValidation, KEP-4858, on by default there): Go's
 * netip.ParseAddr without zones. So no octet and no prefix length with leading zeros, which ParseIPSloppy read as decimal and C
 * libraries read as octal. Two of its rules are asked for apart, since the kernel and CNI have uses for what they refuse:
 * IPv4 inside IPv6 (`isIpv4Mapped`) and bits behind the prefix (`isNetwork`).
 */
import { PodwrightError } from './errors.ts';
import { readIpText } from './ip-text.ts';

export type IpFamily = 4 | 6;

/** An address. Four words of unsigned 32 bits, the highest first; IPv4 has the last alone, and zeros before. */
export interface Ip {
  readonly family: IpFamily;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

/** An address with the length of its network's prefix in bits: `10.244.0.5/24` keeps the host part. */
export interface Cidr {
  readonly ip: Ip;
  readonly prefix: number;
}

const wordSize = 2 ** 32;

/** The words of the text that is being read. */
const read = new Uint32Array(4);

/** undefined: the text is no address. Zones (`fe80::1%eth0`) are none: they name a link of one host. */
export function parseIp(text: string): Ip | undefined {
  const family = readIpText(text, read);
  return family === undefined ? undefined : wordsOf(family, read);
}

/** The family of an address in text; undefined: it is none. Makes no object. */
export function familyOfIp(text: string): IpFamily | undefined {
  return readIpText(text, read);
}

/**
 * Writes the 4 or 16 bytes of an address in text, in network order, at `offset`; false, and nothing is written: it is none of the
 * family. Makes no object.
 */
export function writeIpText(family: IpFamily, text: string, target: Uint8Array, offset: number): boolean {
  const isWritten = readIpText(text, read) === family;
  if (isWritten) writeWords(family, read, target, offset);
  return isWritten;
}

/** The canonical text: dotted decimal, or RFC 5952 section 4. IPv4 inside IPv6 is in hex, too (its section 5 leaves that open). */
export function formatIp({ family, w0, w1, w2, w3 }: Ip): string {
  if (family === 4) return `${w3 >>> 24}.${(w3 >>> 16) & 0xff}.${(w3 >>> 8) & 0xff}.${w3 & 0xff}`;
  const all = [w0, w1, w2, w3].flatMap((word) => [word >>> 16, word & 0xffff]);
  const hex = (from: number, to: number): string =>
    all
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  const { start, length } = longestZeros(all);
  return length < 2 ? hex(0, 8) : `${hex(0, start)}::${hex(start + length, 8)}`;
}

/** The IPv4 address of a number below 2^32. */
export function ipv4Of(value: number): Ip {
  return { family: 4, w0: 0, w1: 0, w2: 0, w3: value };
}

/** An address of 4 or 16 bytes in network order; undefined for any other number of them. */
export function ipOfBytes(bytes: Uint8Array): Ip | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 4) return ipv4Of(view.getUint32(0));
  if (bytes.length !== 16) return undefined;
  const [w0, w1, w2, w3] = [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
  return { family: 6, w0, w1, w2, w3 };
}

/** The 4 or 16 bytes of an address in network order; the caller's. */
export function bytesOfIp({ family, w0, w1, w2, w3 }: Ip): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(bitsOf(family) / 8);
  writeWords(family, [w0, w1, w2, w3], bytes, 0);
  return bytes;
}

/** 32 or 128. */
export function bitsOf(family: IpFamily): number {
  return family === 4 ? 32 : 128;
}

/** Below zero: `a` comes first. IPv4 comes before IPv6. */
export function compareIps(a: Ip, b: Ip): number {
  return a.family - b.family || a.w0 - b.w0 || a.w1 - b.w1 || a.w2 - b.w2 || a.w3 - b.w3;
}

/** `::ffff:10.0.0.1`: IPv4 to some programs and IPv6 to others. Kubernetes 1.36 wants none in new objects. */
export function isIpv4Mapped(ip: Ip): boolean {
  return ip.family === 6 && ip.w0 === 0 && ip.w1 === 0 && ip.w2 === 0xffff;
}

/**
 * An address as Kubernetes read it before 1.36, and as older objects may have it (ParseIPSloppy of k8s.io/utils/net): leading zeros
 * count for nothing, and IPv4 inside IPv6 is IPv4.
 */
export function parseLegacyIp(text: string): Ip | undefined {
  const ip = parseIp(text) ?? parseIp(withoutLeadingZeros(text));
  return ip !== undefined && isIpv4Mapped(ip) ? ipv4Of(ip.w3) : ip;
}

/** The one text of an address that an object has, however it is written there; undefined: it is none. Makes no object of IPv4 as all write it. */
export function canonicalIpText(text: string): string | undefined {
  if (familyOfIp(text) === 4) return text;
  const ip = parseLegacyIp(text);
  return ip === undefined ? undefined : formatIp(ip);
}

/** A network so (ParseCIDRSloppy); IPv4 inside IPv6 stays IPv6. */
export function parseLegacyCidr(text: string): Cidr | undefined {
  return parseCidr(text) ?? parseCidr(withoutLeadingZeros(text));
}

/** `010.1.2.3/08` is 10.1.2.3/8. */
function withoutLeadingZeros(text: string): string {
  return text
    .replace(/(?:^|(?<=:))\d+(?:\.\d+){3}(?=\/|$)/, (dotted) => dotted.replaceAll(/\b0+(?=\d)/g, ''))
    .replace(/\/0+(?=\d)/, '/');
}

/** Without the name of a link (RFC 4007 section 11). For who dials or listens: what is stored has no zone. */
export function withoutZone(text: string): string {
  const at = text.indexOf('%');
  return at < 0 ? text : text.slice(0, at);
}

/** The address `count` · 2^`shift` further on, a negative one before; undefined: the family has no such. `count`: a safe integer. */
export function addToIp(ip: Ip, count: number, shift = 0): Ip | undefined {
  const [size, sign] = [Math.abs(count) * 2 ** shift, count < 0 ? -1 : 1];
  // Floats as large as this are exact: a power of two more changes no digit.
  const part = (index: number): number => sign * (Math.floor(size / wordSize ** index) % wordSize);
  const w3 = ip.w3 + part(0);
  const w2 = ip.w2 + part(1) + Math.floor(w3 / wordSize);
  const w1 = ip.w1 + part(2) + Math.floor(w2 / wordSize);
  const w0 = ip.w0 + part(3) + Math.floor(w1 / wordSize);
  const isBeyond = size >= wordSize ** 4 || w0 < 0 || w0 >= wordSize;
  const sum = { family: ip.family, w0, w1: modulo(w1), w2: modulo(w2), w3: modulo(w3) };
  return isBeyond || (ip.family === 4 && (w0 | w1 | w2) !== 0) ? undefined : sum;
}

/** How many addresses `to` lies behind `from`, of the same family; negative: before. Exact below 2^53. */
export function distanceOf(from: Ip, to: Ip): number {
  const high = (to.w0 - from.w0) * wordSize + (to.w1 - from.w1);
  return (high * wordSize + (to.w2 - from.w2)) * wordSize + (to.w3 - from.w3);
}

/** Every address from `first` to `last` of one family, both of them too; none if they are the other way round. */
export function* ipsBetween(first: Ip, last: Ip): Generator<Ip> {
  let next: Ip | undefined = first;
  while (next !== undefined && compareIps(next, last) <= 0) {
    yield next;
    next = addToIp(next, 1);
  }
}

/** undefined: the text is not `address/prefix`. Bits behind the prefix stay (`isNetwork`). */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.lastIndexOf('/');
  const digits = text.slice(slash + 1);
  if (slash < 0 || !/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const prefix = Number(digits);
  return ip === undefined || prefix > bitsOf(ip.family) ? undefined : { ip, prefix };
}

/** The family of a network in text; undefined: it is none. */
export function familyOfNetwork(text: string): IpFamily | undefined {
  return parseCidr(text)?.ip.family;
}

/** A network that is written in the program. @throws E_INVALID */
export function knownCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new PodwrightError('E_INVALID', `read network ${text}: none`);
  return cidr;
}

export function formatCidr({ ip, prefix }: Cidr): string {
  return `${formatIp(ip)}/${prefix}`;
}

/** The network of one address: /32 or /128. */
export function hostCidr(ip: Ip): Cidr {
  return { ip, prefix: bitsOf(ip.family) };
}

/** The lowest address: all bits behind the prefix cleared. */
export function firstOf({ ip, prefix }: Cidr): Ip {
  const at = bitsBefore(ip.family) + prefix;
  return {
    family: ip.family,
    w0: (ip.w0 & maskOf(at)) >>> 0,
    w1: (ip.w1 & maskOf(at - 32)) >>> 0,
    w2: (ip.w2 & maskOf(at - 64)) >>> 0,
    w3: (ip.w3 & maskOf(at - 96)) >>> 0,
  };
}

/** The highest address: all bits behind the prefix set. IPv4's broadcast. */
export function lastOf({ ip, prefix }: Cidr): Ip {
  const at = bitsBefore(ip.family) + prefix;
  return {
    family: ip.family,
    w0: (ip.w0 | ~maskOf(at)) >>> 0,
    w1: (ip.w1 | ~maskOf(at - 32)) >>> 0,
    w2: (ip.w2 | ~maskOf(at - 64)) >>> 0,
    w3: (ip.w3 | ~maskOf(at - 96)) >>> 0,
  };
}

/** The network by its lowest address: 10.1.2.3/24 is 10.1.2.0/24. */
export function networkOf(cidr: Cidr): Cidr {
  return { ip: firstOf(cidr), prefix: cidr.prefix };
}

/** Whether no bit behind the prefix is set. Kubernetes 1.36 wants none in new objects. */
export function isNetwork(cidr: Cidr): boolean {
  return compareIps(firstOf(cidr), cidr.ip) === 0;
}

/** The first `prefix` bits set, as an address: 255.255.255.0. */
export function maskIp(family: IpFamily, prefix: number): Ip {
  const ones = family === 4 ? 0 : wordSize - 1;
  return firstOf({ ip: { family, w0: ones, w1: ones, w2: ones, w3: wordSize - 1 }, prefix });
}

/** Whether the address is in the network. Makes no object. */
export function cidrContains({ ip, prefix }: Cidr, other: Ip): boolean {
  const at = bitsBefore(ip.family) + prefix;
  return (
    ip.family === other.family &&
    ((ip.w0 ^ other.w0) & maskOf(at)) === 0 &&
    ((ip.w1 ^ other.w1) & maskOf(at - 32)) === 0 &&
    ((ip.w2 ^ other.w2) & maskOf(at - 64)) === 0 &&
    ((ip.w3 ^ other.w3) & maskOf(at - 96)) === 0
  );
}

/** Whether some address is in both. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return a.prefix <= b.prefix ? cidrContains(a, b.ip) : cidrContains(b, a.ip);
}

/** How many addresses; exact: a power of two. */
export function sizeOf({ ip, prefix }: Cidr): number {
  return 2 ** (bitsOf(ip.family) - prefix);
}

/** The address with that number in the network, the lowest being 0; undefined: it has no such. */
export function nthIp(cidr: Cidr, index: number): Ip | undefined {
  return index < 0 || index >= sizeOf(cidr) ? undefined : addToIp(firstOf(cidr), index);
}

/** The number of the address in the network, exact below 2^53; undefined: it is not in it. */
export function indexOfIp(cidr: Cidr, ip: Ip): number | undefined {
  return cidrContains(cidr, ip) ? distanceOf(firstOf(cidr), ip) : undefined;
}

/** The part with that number of a network that is divided into parts of `prefix`; undefined: it has no such. */
export function nthSubnet(cidr: Cidr, prefix: number, index: number): Cidr | undefined {
  const bits = bitsOf(cidr.ip.family);
  if (prefix < cidr.prefix || prefix > bits || index < 0 || index >= 2 ** (prefix - cidr.prefix))
    return undefined;
  const ip = addToIp(firstOf(cidr), index, bits - prefix);
  return ip === undefined ? undefined : { ip, prefix };
}

/** IPv4 is the last 32 bits of the four words: its prefixes begin there. */
function bitsBefore(family: IpFamily): number {
  return family === 4 ? 96 : 0;
}

/** A word whose first `bits` are set: none if negative, all from 32 on. Signed. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}

function modulo(value: number): number {
  return value - Math.floor(value / wordSize) * wordSize;
}

function wordsOf(family: IpFamily, words: ArrayLike<number>): Ip {
  return { family, w0: words[0] ?? 0, w1: words[1] ?? 0, w2: words[2] ?? 0, w3: words[3] ?? 0 };
}

function writeWords(family: IpFamily, words: ArrayLike<number>, target: Uint8Array, offset: number): void {
  let at = offset;
  for (let index = family === 4 ? 3 : 0; index < 4; index++) {
    const word = words[index] ?? 0;
    target[at++] = word >>> 24;
    target[at++] = word >>> 16;
    target[at++] = word >>> 8;
    target[at++] = word;
  }
}

/** The longest run of zero groups, the first of equals. */
function longestZeros(all: readonly number[]): { readonly start: number; readonly length: number } {
  let [start, length, from] = [0, 0, 0];
  for (let index = 0; index < all.length; index++) {
    if (all[index] !== 0) from = index + 1;
    else if (index + 1 - from > length) [start, length] = [from, index + 1 - from];
  }
  return { start, length };
}
