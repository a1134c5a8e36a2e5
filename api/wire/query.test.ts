import { describe, expect, it } from 'vitest';
import { queryBoolean, queryInteger } from './query.ts';

describe('queryBoolean()', () => {
  it.each([
    ['', undefined],
    ['other=1', undefined],
    ['x', true],
    ['x=', true],
    ['x=true', true],
    ['x=TRUE', true],
    ['x=1', true],
    ['x=f', true],
    ['x=banana', true],
    ['x=00', true],
    ['x=0', false],
    ['x=false', false],
    ['x=False', false],
    ['x=FALSE', false],
    ['x=0&x=1', false],
  ])('%s: %s', (query, expected) => {
    expect(queryBoolean(new URLSearchParams(query), 'x')).toBe(expected);
  });
});

describe('queryInteger()', () => {
  it.each([
    ['', undefined],
    ['x=0', 0],
    ['x=007', 7],
    ['x=-5', -5],
    ['x=%2B5', 5],
    ['x=9223372036854775807', 2 ** 63],
    ['x=-9223372036854775808', -(2 ** 63)],
    ['x=1&x=banana', 1],
  ])('%s: %s', (query, expected) => {
    expect(queryInteger(new URLSearchParams(query), 'x')).toBe(expected);
  });

  it.each([
    ['x', 'parsing "": invalid syntax'],
    ['x=abc', 'parsing "abc": invalid syntax'],
    ['x=1e2', 'parsing "1e2": invalid syntax'],
    ['x=0x10', 'parsing "0x10": invalid syntax'],
    ['x=1_000', 'parsing "1_000": invalid syntax'],
    ['x=1.0', 'parsing "1.0": invalid syntax'],
    ['x=%201', 'parsing " 1": invalid syntax'],
    ['x=+5', 'parsing " 5": invalid syntax'],
    ['x=9223372036854775808', 'parsing "9223372036854775808": value out of range'],
    ['x=-99999999999999999999', 'parsing "-99999999999999999999": value out of range'],
  ])('%s: %s', (query, expected) => {
    expect(() => queryInteger(new URLSearchParams(query), 'x')).toThrow(expected);
  });
});
