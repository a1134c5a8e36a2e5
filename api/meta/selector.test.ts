import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatLabelSelector,
  labelSelectorFromMap,
  labelSelectorFromObject,
  matchesLabels,
  parseLabelSelector,
} from './selector.ts';

describe('parseLabelSelector() and matchesLabels()', () => {
  it.each([
    ['', {}, true],
    ['a=b', { a: 'b' }, true],
    ['a=b', { a: 'c' }, false],
    ['a==b', { a: 'b' }, true],
    ['a=', { a: '' }, true],
    ['a=,b', { a: '', b: 'x' }, true],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: '' }, false],
    ['a in (b,c)', { a: 'c' }, true],
    ['a in (b, c)', {}, false],
    ['a in ()', { a: '' }, true],
    ['a notin (b,c)', {}, true],
    ['a notin (b,c)', { a: 'b' }, false],
    ['a>1', { a: '2' }, true],
    ['a<1', { a: '2' }, false],
    ['a>1', { a: 'x' }, false],
    ['x.io/y=z , b', { 'x.io/y': 'z', b: '' }, true],
    ['a=b,c!=d', { a: 'b', c: 'd' }, false],
  ])('%s on %j is %s', (text, labels, want) => {
    expect(matchesLabels(parseLabelSelector(text), labels)).toBe(want);
  });

  it.each([
    ['a b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ['a in b', "unable to parse requirement: found 'b', expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',', or ')'"],
    ['=b', "unable to parse requirement: found '=', expected: !, identifier, or 'end of string'"],
    ['a>x', 'must be an integer'],
    ['a=b,', "found '', expected: identifier after ','"],
    ['-a=b', 'must be a qualified name'],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
  ])('refuses %s', (text, message) => {
    expect(() => parseLabelSelector(text)).toThrow(message);
  });

  it('parses any text or says 400', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '=',
      '!',
      ',',
      '(',
      ')',
      ' in ',
      ' notin ',
      '<',
      '>',
      ' ',
      'x/y',
      '-',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        try {
          const selector = parseLabelSelector(pieces.join(''));
          return (
            parseLabelSelector(formatLabelSelector(selector)).requirements.length ===
            selector.requirements.length
          );
        } catch (error) {
          return isPodwrightError(error, 'E_API') && error.detail['httpCode'] === 400;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('labelSelectorFromObject()', () => {
  it('selects nothing when absent, everything when empty', () => {
    expect(matchesLabels(labelSelectorFromObject(undefined), { a: 'b' })).toBe(false);
    expect(matchesLabels(labelSelectorFromObject({}), { a: 'b' })).toBe(true);
  });

  it('needs labels and expressions', () => {
    const selector = labelSelectorFromObject({
      matchLabels: { a: 'b' },
      matchExpressions: [
        { key: 'c', operator: 'NotIn', values: ['d'] },
        { key: 'e', operator: 'Exists' },
      ],
    });
    expect(formatLabelSelector(selector)).toBe('a=b,c notin (d),e');
    expect(matchesLabels(selector, { a: 'b', e: '' })).toBe(true);
    expect(matchesLabels(selector, { a: 'b', c: 'd', e: '' })).toBe(false);
  });

  it('selects nothing by an operator that it does not know', () => {
    const selector = labelSelectorFromObject({ matchExpressions: [{ key: 'c', operator: 'Near' }] });
    expect(matchesLabels(selector, { c: '1' })).toBe(false);
  });
});

describe('labelSelectorFromMap()', () => {
  it('selects nothing when empty', () => {
    expect(matchesLabels(labelSelectorFromMap({}), {})).toBe(false);
    expect(matchesLabels(labelSelectorFromMap({ a: 'b' }), { a: 'b', c: 'd' })).toBe(true);
  });
});
