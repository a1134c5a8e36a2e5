import { describe, expect, it } from 'vitest';
import { formatMicroTime, formatTime, parseTime } from './time.ts';

describe('times beyond what can be written', () => {
  it.each([
    { ms: 2 ** 53 * 1000, want: '9999-12-31T23:59:59Z' },
    { ms: Infinity, want: '9999-12-31T23:59:59Z' },
    { ms: 1e300, want: '9999-12-31T23:59:59Z' },
    { ms: -(2 ** 60), want: '0000-01-01T00:00:00Z' },
    { ms: parseTime('0000-01-01T00:00:00+14:00'), want: '0000-01-01T00:00:00Z' },
    { ms: parseTime('9999-12-31T23:59:59-12:00'), want: '9999-12-31T23:59:59Z' },
    { ms: 2 ** 31, want: '1970-01-25T20:31:23Z' },
  ])('$ms ms is written as $want', ({ ms, want }) => {
    expect(formatTime(ms)).toBe(want);
    expect(formatMicroTime(ms).slice(0, 19)).toBe(want.slice(0, 19));
    expect(() => parseTime(formatTime(ms))).not.toThrow();
  });
});
