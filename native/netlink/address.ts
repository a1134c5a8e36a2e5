/** Addresses as netlink wants them: 4 or 16 bytes in network order, and a prefix length. What an address is says base/ip.ts. */
import { PodwrightError } from '#base/errors.ts';
import {
  bytesOfIp,
  formatIp,
  hostCidr,
  ipOfBytes,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type Ip,
} from '#base/ip.ts';
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
  return addressBytes(ipOf(text));
}

/** The same, as the type that can be counted with. @throws E_INVALID */
export function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw invalid(text);
  return ip;
}

/** `10.0.0.2/24`; without a length, the address alone (/32, /128). @throws E_INVALID */
export function parsePrefix(text: string): PrefixBytes {
  return prefixBytes(cidrOf(text));
}

/** The same, as the type that can be counted with. @throws E_INVALID */
export function cidrOf(text: string): Cidr {
  const ip = parseIp(text);
  const cidr = ip === undefined ? parseCidr(text) : hostCidr(ip);
  if (cidr !== undefined) return cidr;
  const [address = ''] = text.split('/', 1);
  throw invalid(parseIp(address) === undefined ? address : text);
}

/** The prefix with the bits beyond its length cleared, as the kernel demands of a route's destination. */
export function maskPrefix(prefix: PrefixBytes): PrefixBytes {
  return prefixBytes(networkOf({ ip: ipOfBuffer(prefix.bytes), prefix: prefix.length }));
}

/** Text of 4 or 16 bytes; IPv6 as RFC 5952 says. @throws E_INVALID */
export function formatAddress(bytes: Buffer): string {
  return formatIp(ipOfBuffer(bytes));
}

/** The bytes are the caller's. */
export function addressBytes(ip: Ip): AddressBytes {
  return { family: ip.family === 4 ? AF_INET : AF_INET6, bytes: Buffer.from(bytesOfIp(ip).buffer) };
}

function prefixBytes({ ip, prefix }: Cidr): PrefixBytes {
  return { ...addressBytes(ip), length: prefix };
}

function ipOfBuffer(bytes: Buffer): Ip {
  const ip = ipOfBytes(bytes);
  if (ip === undefined) throw new PodwrightError('E_INVALID', `format address of ${bytes.length} bytes`);
  return ip;
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
