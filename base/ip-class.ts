import { BlockList, isIP } from 'node:net';

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
const ranges: readonly (readonly [IpClass, prefix: string, length: number, family: 'ipv4' | 'ipv6'])[] = [
  ['unspecified', '0.0.0.0', 8, 'ipv4'],
  ['loopback', '127.0.0.0', 8, 'ipv4'],
  ['link-local', '169.254.0.0', 16, 'ipv4'],
  ['link-local multicast', '224.0.0.0', 24, 'ipv4'],
  ['multicast', '224.0.0.0', 4, 'ipv4'],
  ['reserved', '240.0.0.0', 4, 'ipv4'],
  ['unspecified', '::', 128, 'ipv6'],
  ['loopback', '::1', 128, 'ipv6'],
  ['link-local', 'fe80::', 10, 'ipv6'],
  ['link-local', 'fd00:ec2::254', 128, 'ipv6'], // The metadata service of EC2, link-local in all but its prefix.
  ['link-local multicast', 'ff01::', 16, 'ipv6'],
  ['link-local multicast', 'ff02::', 16, 'ipv6'],
  ['multicast', 'ff00::', 8, 'ipv6'],
];

const lists = ranges.map(([ipClass, prefix, length, family]) => {
  const list = new BlockList();
  list.addSubnet(prefix, length, family);
  return { ipClass, family, list };
});

/** IPv6 prefixes with an IPv4 address in them: mapped, compatible (4291 2.5.5), NAT64 (6052); and 6to4 (3056), whose place is another. */
const embeddings: readonly (readonly [prefix: string, length: number, firstGroup: number])[] = [
  ['::ffff:0:0', 96, 6],
  ['::', 96, 6],
  ['64:ff9b::', 96, 6],
  ['2002::', 16, 1],
];
const embeddingLists = embeddings.map(([prefix, length, firstGroup]) => {
  const list = new BlockList();
  list.addSubnet(prefix, length, 'ipv6');
  return { list, firstGroup };
});

/** The class of an address in text; of one with IPv4 inside, that one's. undefined: it is no address. */
export function classOfIp(text: string): IpClass | undefined {
  const address = text.replace(/%.*$/, ''); // A zone (RFC 4007 11) changes nothing.
  const family = isIP(address);
  if (family === 0) return undefined;
  const name = family === 4 ? 'ipv4' : 'ipv6';
  const found = lists.find((range) => range.family === name && range.list.check(address, name))?.ipClass;
  if (found !== undefined || family === 4) return found ?? 'ordinary';
  const embedding = embeddingLists.find(({ list }) => list.check(address, 'ipv6'));
  return embedding === undefined ? 'ordinary' : classOfIp(embeddedIpv4(address, embedding.firstGroup));
}

function embeddedIpv4(address: string, firstGroup: number): string {
  const groups = groupsOf(address);
  return [groups[firstGroup] ?? 0, groups[firstGroup + 1] ?? 0]
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const { hostname } = new URL(`http://[${address}]/`); // Canonical: no dotted part.
  const [head = '', tail] = hostname.slice(1, -1).split('::');
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [first, last] = [parse(head), parse(tail ?? '')];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}
