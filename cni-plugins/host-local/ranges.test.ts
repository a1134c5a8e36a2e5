import { describe, expect, test } from 'vitest';
import { formatIp, parseIp } from '#base/ip.ts';
import { candidates, capacityOf, parseRangeSets } from './ranges.ts';

function order(ranges: readonly object[], last?: string): readonly string[] {
  const [set] = parseRangeSets({ ranges: [ranges] });
  if (set === undefined) return [];
  const from = last === undefined ? undefined : parseIp(last);
  return [...candidates(set, from)].map(({ ip }) => formatIp(ip));
}

describe('candidates()', () => {
  test.each([
    ['starts after the gateway', [{ subnet: '10.0.0.0/29' }], undefined, '2 3 4 5 6'],
    ['goes on after the last one and round', [{ subnet: '10.0.0.0/29' }], '10.0.0.4', '5 6 2 3 4'],
    ['starts anew when the cursor is of another range', [{ subnet: '10.0.0.0/29' }], '10.9.0.4', '2 3 4 5 6'],
    ['wraps at the end', [{ subnet: '10.0.0.0/29' }], '10.0.0.6', '2 3 4 5 6'],
    [
      'keeps to start and end',
      [{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.11' }],
      undefined,
      '9 10 11',
    ],
    [
      'skips a gateway in the middle',
      [{ subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.11', gateway: '10.0.0.10' }],
      undefined,
      '9 11',
    ],
  ])('%s', (_name, ranges, last, want) => {
    expect(
      order(ranges, last)
        .map((ip) => ip.split('.')[3])
        .join(' '),
    ).toBe(want);
  });

  test('goes through all ranges of a set before it repeats one', () => {
    const ranges = [{ subnet: '10.0.0.0/30' }, { subnet: '10.0.1.0/29' }];
    expect(order(ranges, '10.0.1.4')).toEqual([
      '10.0.1.5',
      '10.0.1.6',
      '10.0.0.2',
      '10.0.1.2',
      '10.0.1.3',
      '10.0.1.4',
    ]);
  });

  test('capacityOf() counts what candidates() gives', () => {
    const [set] = parseRangeSets({ subnet: '10.0.0.0/29' });
    expect(capacityOf(set ?? [])).toBe(5n);
  });
});

describe('parseRangeSets() refuses', () => {
  test.each([
    ['nothing', {}, 'no ranges'],
    ['a subnet too small', { subnet: '10.0.0.0/31' }, 'too small'],
    ['a subnet of IPv6 too small', { subnet: 'fd00::/127' }, 'too small'],
    ['a gateway elsewhere', { subnet: '10.0.0.0/24', gateway: '10.0.1.1' }, 'not an address of'],
    [
      'an end before the start',
      { subnet: '10.0.0.0/24', rangeStart: '10.0.0.9', rangeEnd: '10.0.0.8' },
      'ends before',
    ],
    ['an overlap', { ranges: [[{ subnet: '10.0.0.0/24' }], [{ subnet: '10.0.0.128/25' }]] }, 'overlap'],
    ['a mix of families', { ranges: [[{ subnet: '10.0.0.0/24' }, { subnet: 'fd00::/64' }]] }, 'mixes'],
  ])('%s', (_name, ipam, message) => expect(() => parseRangeSets(ipam)).toThrow(message));
});
