import { cidrContains, ipv4Of, knownCidr, parseIp, withoutZone, type Cidr, type Ip } from './ip.ts';

/** What kind of address it is, as far as it matters to whom one lets oneself be sent. */
export type IpClass =
  | 'ordinary'
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'link-local multicast'
  | 'multicast'
  | 'reserved';

/** RFC 1122 3.2.1.3, 3927, 4291 2.5 and 2.7, 5771; of the reserved, what a kernel may take for its own host or all hosts. */
const ranges: readonly (readonly [IpClass, Cidr])[] = [
  ['unspecified', knownCidr('0.0.0.0/8')],
  ['loopback', knownCidr('127.0.0.0/8')],
  ['link-local', knownCidr('169.254.0.0/16')],
  ['link-local multicast', knownCidr('224.0.0.0/24')],
  ['multicast', knownCidr('224.0.0.0/4')],
  ['reserved', knownCidr('240.0.0.0/4')],
  ['unspecified', knownCidr('::/128')],
  ['loopback', knownCidr('::1/128')],
  ['link-local', knownCidr('fe80::/10')],
  ['link-local', knownCidr('fd00:ec2::254/128')], // The metadata service of EC2, link-local in all but its prefix.
  ['link-local multicast', knownCidr('ff01::/16')],
  ['link-local multicast', knownCidr('ff02::/16')],
  ['multicast', knownCidr('ff00::/8')],
];

/** IPv6 prefixes with an IPv4 address in them: mapped, compatible (4291 2.5.5), NAT64 (6052); and 6to4 (3056), whose place is another. */
const embeddings: readonly (readonly [Cidr, ipv4: (ip: Ip) => number])[] = [
  [knownCidr('::ffff:0:0/96'), ({ w3 }) => w3],
  [knownCidr('::/96'), ({ w3 }) => w3],
  [knownCidr('64:ff9b::/96'), ({ w3 }) => w3],
  [knownCidr('2002::/16'), ({ w0, w1 }) => ((w0 << 16) | (w1 >>> 16)) >>> 0],
];

/** The class of an address in text; of one with IPv4 inside, that one's. undefined: it is no address. */
export function classOfIp(text: string): IpClass | undefined {
  const ip = parseIp(withoutZone(text)); // A zone (RFC 4007 11) changes nothing.
  return ip === undefined ? undefined : classOf(ip);
}

function classOf(ip: Ip): IpClass {
  const found = ranges.find(([, range]) => cidrContains(range, ip))?.[0];
  if (found !== undefined) return found;
  const valueOf = embeddings.find(([range]) => cidrContains(range, ip))?.[1];
  return valueOf === undefined ? 'ordinary' : classOf(ipv4Of(valueOf(ip)));
}
