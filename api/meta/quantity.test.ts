import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addQuantity,
  canonicalQuantity,
  compareQuantity,
  formatQuantity,
  parseQuantity,
  quantityToInteger,
  quantityToMilli,
  quantityToNumber,
  subtractQuantity,
  tryParseQuantity,
  type QuantityFormat,
} from './quantity.ts';

describe('canonicalQuantity()', () => {
  it.each([
    ['0', '0'],
    ['1', '1'],
    ['0.5', '500m'],
    ['100m', '100m'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['1.5', '1500m'],
    ['1024', '1024'],
    ['1024Mi', '1Gi'],
    ['1536Mi', '1536Mi'],
    ['0.5Gi', '512Mi'],
    ['1000k', '1M'],
    ['1e3', '1e3'],
    ['1E3', '1e3'],
    ['12e6', '12e6'],
    ['1E', '1E'],
    ['-1', '-1'],
    ['+5Mi', '5Mi'],
    ['.5', '500m'],
    ['5.', '5'],
    ['0.1n', '1n'],
    ['100Ki', '100Ki'],
    ['512Ki', '512Ki'],
    ['0Ki', '0'],
    ['9223372036854775807', '9223372036854775807'],
    ['1500000m', '1500'],
  ])('%s is %s', (text, want) => {
    expect(canonicalQuantity(text)).toBe(want);
  });

  it.each(['', 'x', '1x', '1.2.3', '1 Gi', 'Gi', '1ki', '--1', '1e', '1e999999'])('refuses %j', (text) => {
    expect(() => canonicalQuantity(text)).toThrow(/quantit/);
  });

  it('leaves the amount and itself as they are', () => {
    const formats = fc.constantFrom<QuantityFormat>('DecimalSI', 'BinarySI', 'DecimalExponent');
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 80n), 2n ** 80n), formats, (nanos, format) => {
        const text = formatQuantity({ nanos, format });
        return parseQuantity(text).nanos === nanos && canonicalQuantity(text) === text;
      }),
    );
  });
});

describe('quantities', () => {
  const quantity = parseQuantity;

  it('add and subtract across formats', () => {
    expect(formatQuantity(addQuantity(quantity('1Gi'), quantity('512Mi')))).toBe('1536Mi');
    expect(formatQuantity(addQuantity(quantity('0'), quantity('1Gi')))).toBe('1Gi');
    expect(formatQuantity(subtractQuantity(quantity('1'), quantity('250m')))).toBe('750m');
  });

  it('compare by amount', () => {
    expect(compareQuantity(quantity('1Gi'), quantity('1G'))).toBeGreaterThan(0);
    expect(compareQuantity(quantity('1000m'), quantity('1'))).toBe(0);
  });

  it('are of no more than 256 characters', () => {
    expect(quantity(`1.${'0'.repeat(254)}`).nanos).toBe(1_000_000_000n);
    expect(() => quantity('9'.repeat(3_000_000))).toThrow(/quantities must match/);
  });

  it('round up to whole numbers', () => {
    expect(quantityToMilli(quantity('1n'))).toBe(1);
    expect(quantityToMilli(quantity('1.5'))).toBe(1500);
    expect(quantityToInteger(quantity('1500m'))).toBe(2);
    expect(quantityToInteger(quantity('1Gi'))).toBe(1_073_741_824);
    expect(quantityToNumber(quantity('1500m'))).toBe(1.5);
  });

  it('read numbers, and nothing else that is no text', () => {
    expect(tryParseQuantity(2)?.nanos).toBe(2_000_000_000n);
    expect(tryParseQuantity('x')).toBeUndefined();
    expect(tryParseQuantity(undefined)).toBeUndefined();
  });
});
