import { describe, expect, it } from 'vitest';
import {
  addToIp,
  bytesOfIp,
  cidrContains,
  cidrsOverlap,
  compareIps,
  distanceOf,
  familyOfIp,
  firstOf,
  formatCidr,
  formatIp,
  hostCidr,
  indexOfIp,
  ipOfBytes,
  ipsBetween,
  ipv4Of,
  isIpv4Mapped,
  isNetwork,
  lastOf,
  maskIp,
  networkOf,
  nthIp,
  nthSubnet,
  parseCidr,
  parseIp,
  sizeOf,
  withoutZone,
  writeIpText,
  type Cidr,
  type Ip,
} from './ip.ts';

const highest6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
const ip = (text: string): Ip => parseIp(text) ?? expect.unreachable(`${text} is no address`);
const cidr = (text: string): Cidr => parseCidr(text) ?? expect.unreachable(`${text} is no network`);
const textOf = (address: Ip | undefined): string | undefined => address && formatIp(address);
const cidrTextOf = (network: Cidr | undefined): string | undefined => network && formatCidr(network);

describe('parseIp() and formatIp()', () => {
  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['10.244.0.5', '10.244.0.5'],
    ['127.255.255.254', '127.255.255.254'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['FE80::0A', 'fe80::a'],
    ['fd00::1:0:0:2', 'fd00::1:0:0:2'],
    [highest6, highest6],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:10.1.2.3', '1:2:3:4:5:6:a01:203'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (text, want) => expect(formatIp(ip(text))).toBe(want));

  // RFC 5952: section 1's eight spellings of one address, then the rules 4.1 to 4.3.
  it.each([
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8::0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0db8::1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:0:1::1', '2001:db8::1:0:0:1'],
    ['2001:db8:0000:0:1::1', '2001:db8::1:0:0:1'],
    ['2001:DB8:0:0:1::1', '2001:db8::1:0:0:1'],
    ['2001:0db8::0001', '2001:db8::1'], // 4.1: no leading zeros
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'], // 4.2.1: as much as possible
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // 4.2.2: not a single group
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], // 4.2.3: the longest
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // 4.2.3: the first of equals
    ['2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:AAAA', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa'], // 4.3: small letters
  ])('RFC 5952: %s is written %s', (text, want) => expect(formatIp(ip(text))).toBe(want));

  it.each([
    ['::ffff:192.0.2.1', '::ffff:c000:201', true],
    ['::FFFF:c000:201', '::ffff:c000:201', true],
    ['0:0:0:0:0:ffff:192.0.2.1', '::ffff:c000:201', true],
    ['::ffff:0:192.0.2.1', '::ffff:0:c000:201', false],
    ['::192.0.2.1', '::c000:201', false],
    ['192.0.2.1', '192.0.2.1', false],
  ])('%s is %s; IPv4 mapped into IPv6: %s', (text, want, isMapped) => {
    expect([textOf(parseIp(text)), isIpv4Mapped(ip(text))]).toEqual([want, isMapped]);
  });

  it.each([
    ['nothing', ''],
    ['a blank', ' 10.0.0.1'],
    ['a line break', '10.0.0.1\n'],
    ['a name', 'localhost'],
    ['three octets', '10.0.0'],
    ['five octets', '10.0.0.1.2'],
    ['no octet', '10..0.1'],
    ['no first octet', '.0.0.1'],
    ['no last octet', '10.0.0.'],
    ['a large octet', '10.0.0.256'],
    ['a number', '2130706433'],
    ['hex', '0x7f.0.0.1'],
    ['a leading zero', '010.0.0.1'],
    ['two zeros', '10.00.0.1'],
    ['a sign', '10.0.0.-1'],
    ['digits of another script', '\u0661\u0660.0.0.1'],
    ['a network', '10.0.0.1/8'],
    ['one colon', ':'],
    ['three colons', ':::'],
    ['a colon at the start', ':1::2'],
    ['a colon at the end', '1::2:'],
    ['two gaps', '1::2::3'],
    ['seven groups', '1:2:3:4:5:6:7'],
    ['nine groups', '1:2:3:4:5:6:7:8:9'],
    ['a gap for no group', '1:2:3:4::5:6:7:8'],
    ['a gap behind all groups', '1:2:3:4:5:6:7:8::'],
    ['five digits', '12345::'],
    ['five digits, the first a zero', '00001::'],
    ['no digit', '::g'],
    ['a zone', 'fe80::1%eth0'],
    ['a zone of IPv4', '169.254.0.1%eth0'],
    ['an empty zone', 'fe80::1%'],
    ['brackets', '[::1]'],
    ['IPv4 in the middle', '::10.0.0.1:2'],
    ['IPv4 at the start', '10.0.0.1::'],
    ['IPv4 for one group', '1:2:3:4:5:6:7:10.0.0.1'],
    ['IPv4 with leading zeros', '::ffff:10.0.0.01'],
    ['a part of IPv4', '::ffff:10.0.1'],
  ])('refuses %s: %j', (_name, text) => {
    const bytes = new Uint8Array(16).fill(7);
    expect([parseIp(text), familyOfIp(text)]).toEqual([undefined, undefined]);
    expect([writeIpText(4, text, bytes, 0), writeIpText(6, text, bytes, 0)]).toEqual([false, false]);
    expect(bytes).toEqual(new Uint8Array(16).fill(7));
  });

  it('reads what comes after a text that was refused', () => {
    expect(parseIp('ffff:ffff:ffff:x')).toBeUndefined();
    expect(ip('10.0.0.1')).toEqual({ family: 4, w0: 0, w1: 0, w2: 0, w3: 0x0a00_0001 });
  });
});

it('withoutZone() leaves the address', () => {
  expect(['fe80::1%eth0', 'fe80::1', 'fe80::1%', '10.0.0.1'].map(withoutZone)).toEqual([
    'fe80::1',
    'fe80::1',
    'fe80::1',
    '10.0.0.1',
  ]);
});

describe('bytes', () => {
  it.each([
    ['10.1.2.255', [10, 1, 2, 255]],
    ['2001:db8::ff00:1', [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 1]],
  ])('of %s are in network order, there and back', (text, want) => {
    const place = new Uint8Array(want.length + 2);
    expect([...bytesOfIp(ip(text))]).toEqual(want);
    expect(ipOfBytes(Uint8Array.from([9, ...want]).subarray(1))).toEqual(ip(text));
    const [family, other] = want.length === 4 ? ([4, 6] as const) : ([6, 4] as const);
    expect([writeIpText(other, text, place, 0), writeIpText(family, text, place, 1)]).toEqual([false, true]);
    expect([...place]).toEqual([0, ...want, 0]);
  });

  it('of IPv4 are one number', () => {
    expect([0, 0x0a00_0001, 0xffff_ffff].map(ipv4Of).map(formatIp)).toEqual([
      '0.0.0.0',
      '10.0.0.1',
      '255.255.255.255',
    ]);
  });

  it.each([0, 3, 5, 8, 15, 17])('%i are no address', (length) => {
    expect(ipOfBytes(new Uint8Array(length))).toBeUndefined();
  });
});

it('compareIps() puts IPv4 first, then goes by value', () => {
  const ordered = [
    '0.0.0.0',
    '9.255.0.0',
    '10.0.0.0',
    '255.255.255.255',
    '::',
    '::1',
    '::1:0:0',
    '1::',
    highest6,
  ];
  expect(ordered.toReversed().map(ip).toSorted(compareIps).map(formatIp)).toEqual(ordered);
  expect(compareIps(ip('1::'), ip('1:0::'))).toBe(0);
});

describe('addToIp() and distanceOf()', () => {
  it.each([
    ['10.0.0.255', 1, '10.0.1.0'],
    ['10.0.0.0', -1, '9.255.255.255'],
    ['127.255.255.255', 1, '128.0.0.0'],
    ['0.0.0.0', 0xffff_ffff, '255.255.255.255'],
    ['::', 2 ** 53 - 1, '::1f:ffff:ffff:ffff'],
    ['::ffff:ffff', 1, '::1:0:0'],
    ['1:2:3:4:ffff:ffff:ffff:ffff', 1, '1:2:3:5::'],
    ['1:2:3:5::', -1, '1:2:3:4:ffff:ffff:ffff:ffff'],
    ['::ffff:ffff:ffff:ffff:ffff:ffff', 1, '0:1::'],
  ])('%s and %i is %s', (text, count, want) => {
    expect(textOf(addToIp(ip(text), count))).toBe(want);
    expect([distanceOf(ip(text), ip(want)), distanceOf(ip(want), ip(text))]).toEqual([count, -count]);
  });

  it.each([
    ['255.255.255.255', 1],
    ['255.255.255.0', 256],
    ['0.0.0.0', -1],
    ['10.0.0.0', 2 ** 53 - 1],
    [highest6, 1],
    ['::', -1],
    ['::1', -2],
  ])('%s and %i is beyond the family', (text, count) => {
    expect(addToIp(ip(text), count)).toBeUndefined();
  });

  it('counts in networks', () => {
    expect(textOf(addToIp(ip('10.0.0.0'), 3, 8))).toBe('10.0.3.0');
    expect(textOf(addToIp(ip('2001:db8::'), 0x1_0001, 64))).toBe('2001:db8:1:1::');
    expect([addToIp(ip('::'), 1, 128), addToIp(ip('::'), 2 ** 53 - 1, 120)]).toEqual([undefined, undefined]);
  });
});

describe('ipsBetween()', () => {
  it.each([
    ['10.0.0.254', '10.0.1.1', '10.0.0.254 10.0.0.255 10.0.1.0 10.0.1.1'],
    ['10.0.0.1', '10.0.0.1', '10.0.0.1'],
    ['10.0.0.2', '10.0.0.1', ''],
    ['255.255.255.254', '255.255.255.255', '255.255.255.254 255.255.255.255'],
    ['fd00::ffff', 'fd00::1:1', 'fd00::ffff fd00::1:0 fd00::1:1'],
    [`${highest6.slice(0, -1)}e`, highest6, `${highest6.slice(0, -1)}e ${highest6}`],
  ])('%s to %s', (first, last, want) => {
    expect([...ipsBetween(ip(first), ip(last))].map(formatIp).join(' ')).toBe(want);
  });
});

describe('parseCidr()', () => {
  it.each([
    // text, lowest, highest, size, whether it is the network's own address
    ['10.1.2.3/24', '10.1.2.0', '10.1.2.255', 256, false],
    ['10.1.2.0/24', '10.1.2.0', '10.1.2.255', 256, true],
    ['10.96.7.9/16', '10.96.0.0', '10.96.255.255', 65_536, false],
    ['10.1.2.255/25', '10.1.2.128', '10.1.2.255', 128, false],
    ['0.0.0.0/0', '0.0.0.0', '255.255.255.255', 2 ** 32, true],
    ['200.1.2.3/1', '128.0.0.0', '255.255.255.255', 2 ** 31, false],
    ['10.0.0.1/32', '10.0.0.1', '10.0.0.1', 1, true],
    ['::/0', '::', highest6, 2 ** 128, true],
    ['fd00::ffff/65', 'fd00::', 'fd00::7fff:ffff:ffff:ffff', 2 ** 63, false],
    ['fd00:1:2:3::/64', 'fd00:1:2:3::', 'fd00:1:2:3:ffff:ffff:ffff:ffff', 2 ** 64, true],
    ['fd00::/96', 'fd00::', 'fd00::ffff:ffff', 2 ** 32, true],
    ['fd00::1/127', 'fd00::', 'fd00::1', 2, false],
    ['fd00::1/128', 'fd00::1', 'fd00::1', 1, true],
  ])('%s begins at %s and ends at %s', (text, first, last, size, isOwn) => {
    const network = cidr(text);
    expect(formatCidr(network)).toBe(text);
    expect([formatIp(firstOf(network)), formatIp(lastOf(network))]).toEqual([first, last]);
    expect([sizeOf(network), isNetwork(network)]).toEqual([size, isOwn]);
    expect(formatCidr(networkOf(network))).toBe(`${first}/${network.prefix}`);
    expect(textOf(nthIp(network, 0))).toBe(first);
    expect(nthIp(network, size)).toBeUndefined();
    expect([first, last].map((each) => cidrContains(network, ip(each)))).toEqual([true, true]);
    const outside = [addToIp(ip(first), -1), addToIp(ip(last), 1)].filter((each) => each !== undefined);
    expect(outside.some((each) => cidrContains(network, each))).toBe(false);
  });

  it.each([
    '',
    '10.0.0.0',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/00',
    '10.0.0.0/8 ',
    '10.0.0.0/+8',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '010.0.0.0/8',
    '10.0.0.0/255.0.0.0',
    '::/129',
    '::/1000',
    'fe80::1%eth0/64',
  ])('refuses %j', (text) => expect(parseCidr(text)).toBeUndefined());
});

describe('networks', () => {
  it.each([
    ['10.1.2.0/24', '10.1.1.255', undefined],
    ['10.1.2.0/24', '10.1.2.0', 0],
    ['10.1.2.9/24', '10.1.2.255', 255],
    ['10.1.2.0/24', '10.1.3.0', undefined],
    ['0.0.0.0/0', '255.255.255.255', 2 ** 32 - 1],
    ['0.0.0.0/0', '::', undefined],
    ['::/0', '10.0.0.1', undefined],
    ['::/96', '0.0.0.1', undefined],
    ['fd00::/64', 'fd00:0:0:1::', undefined],
    ['fd00::/63', 'fd00:0:0:2::', undefined],
    ['fd00::/48', 'fd00::1:0:0', 2 ** 32],
  ])('in %s, %s has the number %s', (network, address, want) => {
    expect(cidrContains(cidr(network), ip(address))).toBe(want !== undefined);
    expect(indexOfIp(cidr(network), ip(address))).toBe(want);
    if (want !== undefined) expect(textOf(nthIp(cidr(network), want))).toBe(address);
  });

  it.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.2.0/24', '10.1.3.0/24', false],
    ['0.0.0.0/0', '192.0.2.1/32', true],
    ['0.0.0.0/0', '::/0', false],
    ['fd00::/8', 'fdff::/16', true],
    ['fd00::/16', 'fd01::/16', false],
  ])('%s and %s overlap: %s', (a, b, want) => {
    expect([cidrsOverlap(cidr(a), cidr(b)), cidrsOverlap(cidr(b), cidr(a))]).toEqual([want, want]);
  });

  it.each([
    ['10.244.0.0/16', 24, 0, '10.244.0.0/24'],
    ['10.244.0.0/16', 24, 255, '10.244.255.0/24'],
    ['10.244.0.0/16', 24, 256, undefined],
    ['10.244.0.0/16', 24, -1, undefined],
    ['10.244.0.0/16', 8, 0, undefined],
    ['10.244.0.0/16', 33, 0, undefined],
    ['10.244.0.0/16', 16, 0, '10.244.0.0/16'],
    ['10.244.0.0/30', 32, 3, '10.244.0.3/32'],
    ['fd00:10::/48', 64, 0xffff, 'fd00:10:0:ffff::/64'],
    ['fd00:10::/48', 64, 0x1_0000, undefined],
    ['::/0', 64, 2 ** 53 - 1, '1f:ffff:ffff:ffff::/64'],
  ])('%s in parts of /%i: number %i is %s', (network, prefix, index, want) => {
    expect(cidrTextOf(nthSubnet(cidr(network), prefix, index))).toBe(want);
  });

  it('of one address, and masks', () => {
    expect([hostCidr(ip('10.0.0.1')), hostCidr(ip('::1'))].map(formatCidr)).toEqual([
      '10.0.0.1/32',
      '::1/128',
    ]);
    expect([0, 1, 20, 24, 32].map((prefix) => formatIp(maskIp(4, prefix)))).toEqual([
      '0.0.0.0',
      '128.0.0.0',
      '255.255.240.0',
      '255.255.255.0',
      '255.255.255.255',
    ]);
    expect([0, 65, 128].map((prefix) => formatIp(maskIp(6, prefix)))).toEqual([
      '::',
      'ffff:ffff:ffff:ffff:8000::',
      highest6,
    ]);
  });
});
