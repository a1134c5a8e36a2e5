/** Addresses as netlink wants them: 4 or 16 bytes in network order, and a prefix length. */
import { isIP } from 'node:net';
import { PodwrightError } from '#base/errors.ts';
import { AF_INET, AF_INET6 } from '#native/sys/constants.ts';

export interface AddressBytes {
  readonly family: typeof AF_INET | typeof AF_INET6;
  readonly bytes: Buffer;
}

export interface PrefixBytes extends AddressBytes {
  readonly length: number;
}

const invalid = (text: string): PodwrightError => new PodwrightError('E_INVALID', `parse address ${text}`);

/** @throws E_INVALID for anything that is no plain IPv4 or IPv6 address (zones included) */
export function parseAddress(text: string): AddressBytes {
  switch (isIP(text)) {
    case 4:
      return { family: AF_INET, bytes: Buffer.from(text.split('.').map(Number)) };
    case 6:
      if (text.includes('%')) throw invalid(text);
      return { family: AF_INET6, bytes: parseIpv6(text) };
    default:
      throw invalid(text);
  }
}

/** The text was checked by isIP: at most one `::`, groups of hex, perhaps a dotted tail. */
function parseIpv6(text: string): Buffer {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex =
    dotted === null
      ? text
      : `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`;
  const [head = '', tail] = hex.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const bytes = Buffer.alloc(16);
  before.forEach((group, index) => bytes.writeUInt16BE(group, index * 2));
  after.forEach((group, index) => bytes.writeUInt16BE(group, (8 - after.length + index) * 2));
  return bytes;
}

/** `10.0.0.2/24`; without a length, the address alone (/32, /128). @throws E_INVALID */
export function parsePrefix(text: string): PrefixBytes {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  const lengthMax = address.bytes.length * 8;
  if (slash < 0) return { ...address, length: lengthMax };
  const digits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > lengthMax) throw invalid(text);
  return { ...address, length: Number(digits) };
}

/** The prefix with the bits beyond its length cleared, as the kernel demands of a route's destination. */
export function maskPrefix(prefix: PrefixBytes): PrefixBytes {
  const bytes = Buffer.from(prefix.bytes);
  for (let index = 0; index < bytes.length; index++) {
    const kept = Math.min(8, Math.max(0, prefix.length - index * 8));
    bytes[index] = (bytes[index] ?? 0) & (0xff00 >> kept);
  }
  return { ...prefix, bytes };
}

/** Text of 4 or 16 bytes; IPv6 as RFC 5952 says (lower case, the longest run of zeros shortened). @throws E_INVALID */
export function formatAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new PodwrightError('E_INVALID', `format address of ${bytes.length} bytes`);
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  const runs = [...groups.join(':').matchAll(/(?:^|(?<=:))0(?::0)+(?=:|$)/g)];
  const longest = runs.toSorted((a, b) => b[0].length - a[0].length || a.index - b.index)[0];
  const joined = groups.join(':');
  if (longest === undefined) return joined;
  const head = joined.slice(0, longest.index).replace(/:$/, '');
  const tail = joined.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${head}::${tail}`;
}

/** `aa:bb:cc:dd:ee:ff` as six bytes. @throws E_INVALID */
export function parseMac(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text))
    throw new PodwrightError('E_INVALID', `parse MAC ${text}`);
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

/** Lower-case text of a hardware address. */
export function formatMac(bytes: Buffer): string {
  return bytes.toString('hex').replace(/(..)(?=.)/g, '$1:');
}
