import { expect, it } from 'vitest';
import { allocatePodCidr } from './plan.ts';

it.each([
  { name: 'the first', used: [], want: '10.244.0.0/24' },
  { name: 'the first that is free', used: ['10.244.0.0/24', '10.244.2.0/24'], want: '10.244.1.0/24' },
  { name: 'one that overlaps none of another size', used: ['10.244.0.0/23'], want: '10.244.2.0/24' },
  { name: 'none when all are taken', used: ['10.244.0.0/16'], want: undefined },
  {
    name: 'the next, whatever else nodes claim',
    used: ['x', '', 'fd00::/64', '10.244.0.0/24'],
    want: '10.244.1.0/24',
  },
  { name: 'whatever lies outside does not count', used: ['192.168.0.0/16'], want: '10.244.0.0/24' },
])('allocatePodCidr() gives $name', ({ used, want }) => {
  expect(allocatePodCidr('10.244.0.0/16', 24, used)).toBe(want);
});

it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.256/8', 'fd00::/8', ''])(
  'allocatePodCidr() refuses %s',
  (range) => {
    expect(() => allocatePodCidr(range, 24, [])).toThrow('not an IPv4 CIDR');
  },
);
