import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { equalJson } from './json.ts';
import { parseJsonStrict } from './parse-json.ts';

describe('parseJsonStrict()', () => {
  it('reads what JSON.parse reads, in any spacing', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        const parsed = parseJsonStrict(text);
        return equalJson(parsed.value, JSON.parse(text)) && parsed.duplicateFields.length === 0;
      }),
      { numRuns: 300 },
    );
  });

  it('refuses and accepts the same texts as JSON.parse', () => {
    const accepts = (parse: (text: string) => unknown, text: string): boolean => {
      try {
        parse(text);
        return true;
      } catch {
        return false;
      }
    };
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'nul',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        return accepts(parseJsonStrict, text) === accepts(JSON.parse, text);
      }),
      { numRuns: 2000 },
    );
  });

  it('names the members that were given twice, and keeps the last', () => {
    expect(parseJsonStrict('{"spec":{"replicas":1,"replicas":2},"l":[{"a":1},{"b":1,"b":1}]}')).toEqual({
      value: { spec: { replicas: 2 }, l: [{ a: 1 }, { b: 1 }] },
      duplicateFields: ['spec.replicas', 'l[1].b'],
    });
  });

  it('keeps a member named __proto__ as one', () => {
    const { value } = parseJsonStrict('{"__proto__":{"a":1}}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
  });

  it.each([
    ['{bad', "invalid character 'b' looking for beginning of object key string"],
    ['{"a":1', 'unexpected end of JSON input'],
    ['', 'unexpected end of JSON input'],
    ['[1 2]', "invalid character '2' after array element"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
    ['1 x', "invalid character 'x' after top-level value"],
    ['nuxl', "invalid character 'x' in literal null (expecting 'l')"],
    [String.raw`"\x"`, "invalid character 'x' in string escape code"],
    ['"a\nb"', String.raw`invalid character '\n' in string literal`],
    ['"abc', 'unexpected end of JSON input'],
  ])('says of %s what Go says', (text, message) => {
    expect(() => parseJsonStrict(text)).toThrow(message);
  });

  it('refuses nesting without end', () => {
    expect(() => parseJsonStrict('['.repeat(100_000))).toThrow('exceeded max depth');
  });
});
