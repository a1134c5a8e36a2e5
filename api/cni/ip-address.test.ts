import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  boundsOf,
  cidrContains,
  formatCidr,
  formatIp,
  parseCidr,
  parseIp,
  type IpAddress,
} from './ip-address.ts';

function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is not an address`);
  return parsed;
}

describe('parseIp() and formatIp()', () => {
  test.each([
    ['10.244.0.5', '10.244.0.5'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['FE80::0A', 'fe80::a'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ])('%s is %s', (text, want) => expect(formatIp(ip(text))).toBe(want));

  test.each(['', '10.0.0', '10.0.0.256', '1::2::3', 'fe80::1%eth0', 'x'])('%j is not an address', (text) =>
    expect(parseIp(text)).toBeUndefined(),
  );

  test('what is formatted parses to itself', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        const address = { family: 6, value } as const;
        expect(parseIp(formatIp(address))).toEqual(address);
      }),
    );
  });
});

test('cidrContains() knows the bounds of a network', () => {
  const cidr = parseCidr('10.1.2.3/24');
  if (cidr === undefined) throw new Error('not a CIDR');
  expect(formatCidr(cidr)).toBe('10.1.2.3/24');
  expect(boundsOf(cidr)).toEqual({ first: ip('10.1.2.0').value, last: ip('10.1.2.255').value });
  expect(
    ['10.1.1.255', '10.1.2.0', '10.1.2.255', '10.1.3.0', '::1'].map((text) => cidrContains(cidr, ip(text))),
  ).toEqual([false, true, true, false, false]);
  expect([parseCidr('10.0.0.0/33'), parseCidr('10.0.0.0'), parseCidr('/8')]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
