import { describe, expect, it } from 'vitest';
import { ageOf, formatAge } from './age.ts';
import { parseDurationMs } from './duration.ts';

const [second, minute, hour, day, year] = [1000, 60_000, 3_600_000, 86_400_000, 31_536_000_000] as const;

describe('formatAge()', () => {
  it.each([
    [-2 * second, '<invalid>'],
    [-1, '0s'],
    [0, '0s'],
    [119 * second, '119s'],
    [2 * minute, '2m'],
    [2 * minute + 5 * second, '2m5s'],
    [10 * minute - second, '9m59s'],
    [10 * minute + 5 * second, '10m'],
    [3 * hour - minute, '179m'],
    [3 * hour, '3h'],
    [7 * hour + 30 * minute, '7h30m'],
    [8 * hour + 30 * minute, '8h'],
    [47 * hour, '47h'],
    [2 * day, '2d'],
    [7 * day + 3 * hour, '7d3h'],
    [8 * day + 3 * hour, '8d'],
    [2 * year - day, '729d'],
    [2 * year + 3 * day, '2y3d'],
    [8 * year + 3 * day, '8y'],
  ])('%d ms is %s', (ms, want) => {
    expect(formatAge(ms)).toBe(want);
  });
});

describe('ageOf()', () => {
  it('knows no age of what has no timestamp', () => {
    expect(ageOf(null, 0)).toBe('<unknown>');
    expect(ageOf('1970-01-01T00:00:00Z', 5000)).toBe('5s');
  });
});

describe('parseDurationMs()', () => {
  it.each([
    ['0', 0],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5s', 1500],
    ['-2s', -2000],
    ['1000us', 1],
  ])('%s is %d ms', (text, want) => {
    expect(parseDurationMs(text)).toBe(want);
  });

  it.each([
    ['', 'invalid duration ""'],
    ['5', 'missing unit in duration "5"'],
    ['s', 'invalid duration "s"'],
    ['1x', 'unknown unit "x" in duration "1x"'],
    ['1s2', 'missing unit in duration "1s2"'],
  ])('refuses %j', (text, want) => {
    expect(() => parseDurationMs(text)).toThrow(`time: ${want}`);
  });
});
