import { expect, it } from 'vitest';
import { NodeRanges } from './node-ranges.ts';

it.each([
  { name: 'the first', used: [], want: '10.244.0.0/24' },
  { name: 'the first that is free', used: ['10.244.0.0/24', '10.244.2.0/24'], want: '10.244.1.0/24' },
  { name: 'one that overlaps none of another size', used: ['10.244.0.0/23'], want: '10.244.2.0/24' },
  { name: 'one beside a part of a range', used: ['10.244.0.128/25'], want: '10.244.1.0/24' },
  { name: 'none when all are taken', used: ['10.244.0.0/16'], want: undefined },
  { name: 'none when somebody claims the world', used: ['0.0.0.0/0'], want: undefined },
  {
    name: 'the next, whatever else nodes claim',
    used: ['x', '', 'fd00::/64', '10.244.0.0/24'],
    want: '10.244.1.0/24',
  },
  { name: 'whatever lies outside does not count', used: ['192.168.0.0/16'], want: '10.244.0.0/24' },
])('NodeRanges gives $name', ({ used, want }) => {
  const ranges = new NodeRanges('10.244.0.0/16', 24);
  ranges.claim(used);
  expect(ranges.firstFree()).toBe(want);
  ranges.release(used);
  expect(ranges.firstFree()).toBe('10.244.0.0/24');
});

it('NodeRanges keeps a range that two claim until both let it go', () => {
  const ranges = new NodeRanges('10.244.0.0/16', 24);
  for (const _node of ['a', 'b']) ranges.claim(['10.244.0.0/24']);
  ranges.release(['10.244.0.0/24']);
  expect(ranges.firstFree()).toBe('10.244.1.0/24');
});

it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.256/8', ''])('NodeRanges refuses %s', (range) => {
  expect(() => new NodeRanges(range, 24)).toThrow('not a CIDR');
});

it.each([
  ['10.0.0.0/8', 25],
  ['10.0.0.0/25', 24],
  ['10.0.0.0/16', 31],
  ['fd00::/40', 64],
  ['fd00::/120', 127],
])('NodeRanges does not divide %s into /%d', (range, prefix) => {
  expect(() => new NodeRanges(range, prefix)).toThrow('does not fit');
});

it.each([
  { name: 'the first', used: [], want: 'fd00:10:244::/64' },
  { name: 'the first that is free', used: ['fd00:10:244::/64', '10.244.0.0/24'], want: 'fd00:10:244:1::/64' },
  { name: 'none that one of another size overlaps', used: ['fd00:10:244::/62'], want: 'fd00:10:244:4::/64' },
  { name: 'the last', used: ['fd00:10:244::/57', 'fd00:10:244:80::/57'], want: undefined },
])('NodeRanges of IPv6 gives $name', ({ used, want }) => {
  const ranges = new NodeRanges('fd00:10:244::/56', 64);
  ranges.claim(used);
  expect(ranges.firstFree()).toBe(want);
});
