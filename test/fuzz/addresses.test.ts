/** Addresses of both families: text, bytes and arithmetic against Node's own reader, a URL's host and one large number. */
import { bigInt, constantFrom, integer, oneof, record, string, tuple, type Arbitrary } from 'fast-check';
import { isIP } from 'node:net';
import { expect } from 'vitest';
import {
  addToIp,
  bitsOf,
  bytesOfIp,
  cidrContains,
  compareIps,
  distanceOf,
  familyOfIp,
  firstOf,
  formatIp,
  ipOfBytes,
  lastOf,
  parseIp,
  type Ip,
} from '#base/ip.ts';
import { fuzz } from './fuzz.ts';

/** The reference: one large number. */
const valueOf = (address: Ip): bigint =>
  [address.w0, address.w1, address.w2, address.w3].reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
const word = oneof(
  constantFrom(0, 1, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
  integer({ min: 0, max: 0xffff_ffff }),
);
const anyIp: Arbitrary<Ip> = oneof(
  word.map((w3): Ip => ({ family: 4, w0: 0, w1: 0, w2: 0, w3 })),
  tuple(word, word, word, word).map(([w0, w1, w2, w3]): Ip => ({ family: 6, w0, w1, w2, w3 })),
);

fuzz('addresses: written and read', {
  seconds: 1,
  arbitrary: anyIp,
  check: (address) => {
    const text = formatIp(address);
    expect(parseIp(text)).toEqual(address);
    expect(ipOfBytes(bytesOfIp(address))).toEqual(address);
    // A URL's host is the same text, whoever writes it.
    if (address.family === 6) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${text}]`);
  },
});

const piece = constantFrom(
  '0',
  '1',
  '01',
  '00',
  '255',
  '256',
  'ffff',
  'FFFF',
  '1:2:3',
  'a',
  '10000',
  '.',
  '.',
  '.',
  ':',
  ':',
  '::',
  '1.2.3.4',
  '%',
  '/',
);
fuzz('addresses: text of any kind', {
  seconds: 1,
  arbitrary: oneof(
    {
      weight: 4,
      arbitrary: tuple(...Array.from({ length: 16 }, () => oneof(piece, constantFrom('')))).map((all) =>
        all.join(''),
      ),
    },
    { weight: 1, arbitrary: string() },
  ),
  check: (text) => {
    const want = text.includes('%') ? 0 : isIP(text); // Node's own reader, but for zones.
    expect(familyOfIp(text) ?? 0).toBe(want);
    const parsed = parseIp(text);
    if (parsed?.family === 6) expect(new URL(`http://[${text}]/`).hostname).toBe(`[${formatIp(parsed)}]`);
    if (parsed?.family === 4) expect(formatIp(parsed)).toBe(text);
  },
});

fuzz('addresses: arithmetic', {
  seconds: 1,
  arbitrary: record({
    ip: anyIp,
    other: anyIp,
    bits: integer({ min: 0, max: 128 }),
    count: oneof(
      integer({ min: -300, max: 300 }),
      bigInt({ min: -(2n ** 53n) + 1n, max: 2n ** 53n - 1n }).map(Number),
    ),
    shift: integer({ min: 0, max: 127 }),
  }),
  check: ({ ip: address, other, bits, count, shift }) => {
    const all = bitsOf(address.family);
    const network = { ip: address, prefix: bits % (all + 1) };
    const host = BigInt(all - network.prefix);
    const [value, first] = [valueOf(address), (valueOf(address) >> host) << host];
    const last = first + (1n << host) - 1n;
    expect([valueOf(firstOf(network)), valueOf(lastOf(network))]).toEqual([first, last]);
    const isIn = other.family === address.family && valueOf(other) >= first && valueOf(other) <= last;
    expect(cidrContains(network, other)).toBe(isIn);
    const sum = value + BigInt(count) * (1n << BigInt(shift));
    const added = addToIp(address, count, shift);
    expect(added && valueOf(added)).toBe(sum < 0n || sum >= 1n << BigInt(all) ? undefined : sum);
    if (other.family !== address.family) return;
    expect(Math.sign(compareIps(address, other))).toBe(
      Number(value > valueOf(other)) - Number(value < valueOf(other)),
    );
    const distance = valueOf(other) - value;
    const isExact = distance > -(2n ** 53n) && distance < 2n ** 53n;
    if (isExact) expect(BigInt(distanceOf(address, other))).toBe(distance);
  },
});
