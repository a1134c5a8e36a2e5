import { describe, expect, test } from 'vitest';
import { IdRanges } from './id-ranges.ts';

const space = { first: 65_536, count: 3 * 65_536, idsPerPod: 65_536 };

describe('ids of pods', () => {
  test('are each pod its own, the lowest that are free', () => {
    const ranges = new IdRanges(space);
    expect(ranges.take('a')).toEqual({ first: 65_536, count: 65_536 });
    expect(ranges.take('b').first).toBe(131_072);
    expect(ranges.take('a').first).toBe(65_536);
    ranges.free('a');
    expect(ranges.take('c').first).toBe(65_536);
    expect(ranges.take('d').first).toBe(196_608);
    expect(() => ranges.take('e')).toThrow('all 196608 from 65536 on are given, 65536 to each of 3 pods');
  });

  test('go around what an earlier agent gave by other settings', () => {
    const ranges = new IdRanges(space);
    ranges.keep('old', { first: 100_000, count: 65_536 });
    expect(ranges.take('a').first).toBe(196_608);
    expect(ranges.take('old').first).toBe(100_000);
  });
});
