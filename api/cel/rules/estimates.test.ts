import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { parseSchema } from '#api/structural/parse.ts';
import { compileOwnRules } from './compile-rules.ts';

type Make = (max: number | undefined) => JsonObject;

const of = (type: string): JsonObject =>
  type === 'int-or-string'
    ? { 'x-kubernetes-int-or-string': true }
    : ['duration', 'date', 'date-time', 'byte'].includes(type)
      ? { type: 'string', format: type }
      : { type };
const array =
  (items: JsonObject): Make =>
  (maxItems) => ({ type: 'array', items, maxItems });
const map =
  (additionalProperties: JsonObject): Make =>
  (maxProperties) => ({ type: 'object', additionalProperties, maxProperties });
const text =
  (more: JsonObject = {}): Make =>
  (maxLength) => ({ type: 'string', ...more, maxLength });
const required = { type: 'object', properties: { required: { type: 'string' } }, required: ['required'] };
const arrays = array({ type: 'array', items: { type: 'number' } });
const maps = array(map({ type: 'number' })(undefined));
const texts: Make = (max) => array(text()(max))(max);
const whole = 4_194_304;

/** What kube-apiserver estimates where the schema bounds nothing, and where it does (TestCostEstimation). undefined: more than is allowed. */
const rows: readonly (readonly [
  rule: string,
  make: Make,
  unbounded: number | undefined,
  max: number,
  bounded: number,
])[] = [
  ['self.all(x, true)', array(of('number')), 4_718_591, 10, 32],
  ['self.all(x, true)', array(of('string')), 3_145_727, 20, 62],
  ['self.all(x, true)', array(of('boolean')), 1_887_437, 5, 17],
  ['self.all(x, true)', arrays, 3_145_727, 100, 302],
  ['self.all(x, true)', array(required), 555_128, 50, 152],
  ['self.all(x, true)', map(of('number')), 1_348_169, 10, 32],
  ['self.all(x, true)', map(of('string')), 1_179_647, 3, 11],
  ['self.all(x, true)', map(of('boolean')), 943_718, 100, 302],
  ["self.contains('test')", text(), 314_574, 10, 5],
  ["self.startsWith('test')", text(), 2, 15, 2],
  ["self.endsWith('test')", text(), 2, 30, 2],
  ['self[1] == 0.0', array(of('number')), 2, 5000, 2],
  ['self[1] == self[1]', array(of('string')), 314_577, 8, 314_577],
  ['self.all(x, self.all(y, true))', array(of('number')), undefined, 10, 352],
  ['self.all(x, self.all(y, self.all(z, true)))', array(of('number')), undefined, 10, 3552],
  ['"".matches("(((((((((())))))))))[0-9]")', text(), 7, 10, 7],
  ['self.matches("")', text(), 1, 100, 1],
  ['self[3] == 0.0', array(of('number')), 2, 0, 2],
  ['self["x"] == 0.0', map(of('number')), 2, 0, 2],
  ['self == "x"', text(), 2, 0, 1],
  ['self == b"x"', text({ format: 'byte' }), 2, 0, 1],
  ['self.all(x, x == 0.0)', array(of('number')), 6_291_454, 3 * 1024 * 2048, 25_165_826],
  ['self.all(x, true)', array(of('int-or-string')), 4_718_591, 10, 32],
  ['self[0] == 5', array(of('int-or-string')), 3, 10, 3],
  ['self[0] == false', array(of('boolean')), 2, 25, 2],
  ['self[0] == null', array(required), 2, 422, 2],
  ['self[0][0] == -1.0', arrays, 3, 51, 3],
  ['self.all(x, x.y == 25.2)', maps, 6_291_452, 12, 74],
  ['self[0].x > 2.0', maps, 4, 3000, 4],
  ['self.all(x, true)', array(of('duration')), 2_359_295, 5, 17],
  ['self[0].getHours() == 2', array(of('duration')), 4, 525, 4],
  ['self.all(x, true)', array(of('date')), 725_936, 15, 47],
  ['self[2].getDayOfMonth() == 13', array(of('date')), 4, 42, 4],
  ['self.all(x, true)', array(of('date-time')), 428_963, 25, 77],
  ['self.all(x, true)', map(of('int-or-string')), 1_348_169, 15, 47],
  ['self.all(x, true)', map(required), 428_963, 20, 62],
  ['self.all(x, true)', map(map(of('number'))(undefined)), 1_179_647, 10, 32],
  ['self.all(x, true)', map(array(of('number'))(undefined)), 1_179_647, 25, 77],
  ['self.all(x, true)', map(of('duration')), 1_048_577, 5, 17],
  ['self.all(x, true)', map(of('date')), 524_288, 10, 32],
  ['self.all(x, true)', map(of('date-time')), 349_526, 25, 77],
  ["self.find('[0-9]+') == ''", text(), 629_147, 10, 11],
  ["self.join(' ') == 'aa bb'", texts, 329_853_068_905, 10, 43],
];

describe('what an expression is estimated at', () => {
  it.each(rows.map((row, index) => [`${index}: ${row[0]}`, row] as const))(
    '%s is as upstream has it',
    (_, [rule, make, unbounded, max, bounded]) => {
      const estimate = (schema: JsonObject): number => {
        const [compiled] = compileOwnRules(
          parseSchema({ ...schema, 'x-kubernetes-validations': [{ rule }] }),
          false,
          'all',
        );
        expect(compiled?.error).toBeUndefined();
        return compiled?.costMax ?? 0;
      };
      expect(estimate(make(max))).toBe(bounded);
      if (unbounded === undefined) expect(estimate(make(undefined))).toBeGreaterThan(whole);
      else expect(estimate(make(undefined))).toBe(unbounded);
    },
  );
});
