import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { Environment } from './environment.ts';
import { listOf, mapOf, types, type ObjectType } from './check/cel-type.ts';
import { Budget } from './eval/budget.ts';
import { Double, Fault, Uint, type Value } from './eval/values.ts';

const thing: ObjectType = {
  kind: 'object',
  name: 'Thing',
  fieldOf: (name) =>
    ({
      a: { type: types.string },
      n: { type: types.int },
      d: { type: types.double },
      t: { type: types.timestamp },
      l: { type: listOf(types.string) },
      nil: { type: types.string },
      __namespace__: { type: types.string, property: 'namespace' },
    })[name],
};
const environment = new Environment({
  variables: { self: thing, x: types.dyn, labels: mapOf(types.string, types.string) },
});
const variables: Readonly<Record<string, Value>> = {
  self: { a: 'b', n: 3, d: 1, t: '2026-01-02T03:04:05Z', l: ['p', 'q'], namespace: 'ns', nil: null },
  x: { i: 1, f: 1.5, s: ['a'], nil: null, bad: '%5d', day: '2023-02-30T00:00:00Z' },
  labels: { env: 'prod', tier: 'web' },
};

function run(text: string, limit = 10_000): Value {
  const { program, error } = environment.compile(text);
  if (program === undefined) throw new Error(error);
  return program.run((name) => variables[name], new Budget(limit));
}

describe('an expression', () => {
  it.each<[string, Value]>([
    ['1 + 2 * 3', 7],
    ['-7 / 2', -3],
    ['-7 % 3', -1],
    ['9223372036854775807 - 1 > 0', true],
    ['2u + 3u == 5u', true],
    ['1.0 / 2.0', 0.5],
    ['dyn(1) == 1.0 && dyn(1u) == 1 && 1 < 1.5', true],
    ['"a" + "b"', 'ab'],
    ['[1, 2] + [3]', [1, 2, 3]],
    ['1 < 2 ? "yes" : "no"', 'yes'],
    ['true || 1 / 0 > 1', true],
    ['1 / 0 > 1 || true', true],
    ['false && 1 / 0 > 1', false],
    ['!(1 in [1, 2])', false],
    ['"env" in labels', true],
    ['labels["env"] == "prod" && labels.tier == "web"', true],
    ['has(self.a) && !has(labels.none)', true],
    ['self.__namespace__', 'ns'],
    ['self.d == 1.0 && type(self.d) == double', true],
    ['self.t.getFullYear()', 2026],
    ['self.t.getHours("+02:00")', 5],
    ['self.t < timestamp("2027-01-01T00:00:00Z")', true],
    ['x.i + 1', 2],
    ['x.f > 1.0', true],
    ['self.l.all(e, e.size() == 1)', true],
    ['self.l.exists(e, e == "q") && self.l.exists_one(e, e == "q")', true],
    ['self.l.map(e, e + "!")', ['p!', 'q!']],
    ['self.l.map(e, e == "p", e + "!")', ['p!']],
    ['self.l.filter(e, e > "p")', ['q']],
    ['self.l.all(i, e, i < 2 && e != "")', true],
    ['self.l.transformList(i, e, e + string(i))', ['p0', 'q1']],
    ['labels.transformMap(k, v, v + k)["env"]', 'prodenv'],
    ['labels.all(k, k.size() > 2)', true],
    ['[1, 2, 3].map(e, [1, 2].filter(f, f < e).size())', [0, 1, 2]],
    ['self.?a.orValue("z") + labels[?"none"].orValue("y")', 'by'],
    ['x.nil.?a.hasValue()', false],
    ['x.nil.?a.?b[?0].orValue("z")', 'z'],
    ['x.nil[?"a"].hasValue()', false],
    ['x.?i.?a.hasValue()', false],
    ['self.?nil.hasValue()', false],
    ['optional.none().hasValue()', false],
    ['optional.of(1).orValue(1 / 0)', 1],
    ['optional.of(1).or(optional.of(1 / 0)).value()', 1],
    ['optional.none().or(optional.of(2)).orValue(3)', 2],
    ['dyn(optional.none()).orValue(3)', 3],
    ['labels.?env.optMap(v, v + "!").value()', 'prod!'],
    ['[1, ?optional.none(), 2]', [1, 2]],
    ['{"a": 1}.a', 1],
    ['{1: "x"}[1]', 'x'],
    ['"hello".substring(1, 3) + "x".upperAscii()', 'elX'],
    ['"a,b".split(",").join("-")', 'a-b'],
    ['"%s is %d, %.2f".format(["x", 5, 1.5])', 'x is 5, 1.50'],
    ['"%s %s".format([["a", 1.5, null], {"b": [2]}])', '["a", 1.500000, null] {"b":[2]}'],
    [
      '"%s %s".format([[timestamp(0)], [duration("90s")]])',
      '[timestamp("1970-01-01T00:00:00Z")] [duration("90s")]',
    ],
    ['"%f %.1f %.0f".format([1234567.5, -1234.25, 999.0])', '1,234,567.500000 -1,234.3 999'],
    ['"%f %f %e".format(["Infinity", "-Infinity", 1052.032911275])', '∞ -∞ 1.052033\u202f×\u202f10⁰³'],
    ['"%b %b %o %x %X %x".format([5, true, 8, -30, 255u, "Hi"])', '101 1 10 -1e FF 4869'],
    ['"%d%% %s".format([7, 2.0e-9])', '7% 2e-09'],
    [String.raw`strings.quote("bell\a tab\t quote\" \x01")`, `${String.raw`"bell\a tab\t quote\" `}\u0001"`],
    ['string(1000000.0) + " " + string(123456.0) + " " + string(0.0001)', '1e+06 123456 0.0001'],
    ['double("-inf") < double(".5e1") && double("NaN") != 1.0', true],
    ['url("https://U:p@Example.com:443/a/../b c?k=v+w&k=%41;&=z&q#f").getEscapedPath()', '/a/../b%20c'],
    ['url("https://U:p@Example.com:443/a").getHost()', 'Example.com:443'],
    ['url("/p?k=a+b&k=%41&c;d=1&e").getQuery()["k"] == ["a b", "A"]', true],
    ['isURL("mailto:a@b") && url("mailto:a@b").getEscapedPath() == ""', true],
    ['format.byte().validate("").hasValue() && format.date().validate("2023-02-30").hasValue()', true],
    ['format.uri().validate("a b").value()', ['parse "a b": invalid URI for request']],
    ['"a1b22".findAll("[0-9]+")', ['1', '22']],
    ['strings.quote("a") + "aXbX".replace("X", "-", 1)', '"a"a-bX'],
    ['"abc".matches("^a.c$")', true],
    ['"(aaaaaaaaaaaaaaaaaaaaaaaaaaaa".matches("(a+)+$")', true],
    ['[3, 1, 2].min() + [1, 2].sum() + [1, 5].indexOf(5)', 5],
    ['[1, 2].isSorted()', true],
    ['sets.contains([1, 2], [2])', true],
    ['quantity("1Gi").compareTo(quantity("1G"))', 1],
    ['quantity("1500m").add(quantity("500m")).asInteger()', 2],
    ['isQuantity("x")', false],
    ['ip("10.0.0.1").family() == 4 && cidr("10.0.0.0/8").containsIP("10.1.2.3")', true],
    ['isIP("10.0.0.256") || isCIDR("10.0.0.0/33")', false],
    ['url("https://a.example:8080/p?q=1").getPort()', '8080'],
    ['url("https://a.example/p?q=1&q=2").getQuery()["q"].size()', 2],
    ['format.named("dns1123Label").value().validate("Bad_").hasValue()', true],
    ['!format.dns1123Label().validate("good").hasValue()', true],
    ['semver("1.2.3").isLessThan(semver("1.10.0"))', true],
    ['semver("v1.2", true).patch()', 0],
    ['int("42") + int(3.9) + int(2u)', 47],
    ['string(1.5) + string(true) + string(2) + string(duration("90s"))', '1.5true290s'],
    ['duration("1h30m").getMinutes()', 90],
    ['b"ab" + b"\\xff" == b"ab\\377"', true],
    [String.raw`"tab\tquote\"A" == 'tab\tquote"A'`, true],
    [String.raw`r"\d" == "\\d"`, true],
    ['size("äö")', 2],
    ['type(1) == int && type("") == string', true],
    ['{"a": [1]} == {"a": dyn([1.0])}', true],
  ])('%s', (text, want) => {
    const value = run(text);
    expect(value instanceof Double || value instanceof Uint ? value.value : value).toEqual(want);
  });

  it.each([
    ['1 / 0', 'division by zero'],
    ['9223372036854775807 + 1', 'integer overflow'],
    ['1u - 2u', 'unsigned integer overflow'],
    ['[1][2]', 'index out of bounds: 2'],
    ['labels.none', 'no such key: none'],
    ['labels["none"]', 'no such key: none'],
    ['x.i.y', 'no such key: y'],
    ['int("a")', "type conversion error from 'string' to 'int'"],
    ['int("9223372036854775808")', "type conversion error from 'string' to 'int'"],
    ['double("0x10")', "type conversion error from 'string' to 'double'"],
    ['double("1e400")', "type conversion error from 'string' to 'double'"],
    ['timestamp(x.day)', "type conversion error from 'string' to 'google.protobuf.Timestamp'"],
    ['timestamp(253402300800)', 'timestamp overflow'],
    ['x.bad.format([1])', 'could not parse formatting clause: unrecognized formatting clause "5"'],
    [
      '"%d".format([dyn("x")])',
      'error during formatting: decimal clause can only be used on integers, was given string',
    ],
    [
      '"%s".format([dyn({1.5: 2})])',
      'error during formatting: no formatting function for map key of type double',
    ],
    ['optional.none().value()', 'optional.none() dereference'],
    ['true && 1 / 0 > 1', 'division by zero'],
    [
      'quantity("zz")',
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ])('%s fails at run time', (text, message) => {
    const value = run(text);
    expect(value instanceof Fault ? value.message : value).toBe(message);
  });

  it.each([
    ['foo == 1', `ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo == 1\n | ^`],
    [
      'foo(self.a)',
      `ERROR: <input>:1:4: undeclared reference to 'foo' (in container '')\n | foo(self.a)\n | ...^`,
    ],
    ['self.b == "x"', `ERROR: <input>:1:5: undefined field 'b'\n | self.b == "x"\n | ....^`],
    ['has(self.foo)', `ERROR: <input>:1:4: undefined field 'foo'\n | has(self.foo)\n | ...^`],
    [
      'self.a == 1',
      `ERROR: <input>:1:8: found no matching overload for '_==_' applied to '(string, int)'\n | self.a == 1\n | .......^`,
    ],
    [
      'self.a + 1',
      `ERROR: <input>:1:8: found no matching overload for '_+_' applied to '(string, int)'\n | self.a + 1\n | .......^`,
    ],
    [
      'self.a ==',
      `ERROR: <input>:1:10: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | self.a ==\n | .........^`,
    ],
    ['[1, "a"]', `ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, "a"]\n | ....^`],
    [
      'self.n.all(e, true)',
      `ERROR: <input>:1:5: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)\n | self.n.all(e, true)\n | ....^`,
    ],
    [
      '"%d".format(["x"])',
      `ERROR: <input>:1:14: error during formatting: decimal clause can only be used on integers, was given string\n | "%d".format(["x"])\n | .............^`,
    ],
    [
      '"%d".format([1, 2])',
      `ERROR: <input>:1:12: too many arguments supplied to string.format (expected 1, got 2)\n | "%d".format([1, 2])\n | ...........^`,
    ],
    ['"%s".format([])', `ERROR: <input>:1:12: index 0 out of range\n | "%s".format([])\n | ...........^`],
    [
      '"a".reverse()',
      `ERROR: <input>:1:12: found no matching overload for 'reverse' applied to 'string.()'\n | "a".reverse()\n | ...........^`,
    ],
    [
      '"a".size(1)',
      `ERROR: <input>:1:9: found no matching overload for 'size' applied to 'string.(int)'\n | "a".size(1)\n | ........^`,
    ],
  ])('%s does not compile', (text, message) => {
    expect(environment.compile(text).error).toBe(`compilation failed: ${message}`);
  });

  it('comes to what is wanted, or is refused', () => {
    expect(environment.compile('"x"', [types.bool]).error).toBe('must evaluate to bool but got string');
    expect(environment.compile('x.i', [types.bool]).error).toBe('must evaluate to bool but got dyn');
    expect(environment.compile('self.n > 2', [types.bool]).error).toBeUndefined();
  });

  it('ends where its budget does', () => {
    const nested =
      '[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, a + b + c > 0)))';
    expect(run(nested)).toBe(true);
    expect(() => run(nested, 500)).toThrow('operation cancelled: actual cost limit exceeded');
  });

  it('makes no text that is too long', () => {
    const { program } = environment.compile('labels.long.replace("", labels.long).size() > 0');
    const value = program?.run(() => ({ long: 'x'.repeat(100_000) }), new Budget(1e9));
    expect(value instanceof Fault ? value.message : value).toMatch(/longer than 10000000 characters/);
  });

  it('searches no text for so many matches that all of them read to its end', () => {
    const { program } = environment.compile('labels.long.findAll("x*y|x").size() > 0');
    const value = program?.run(() => ({ long: 'x'.repeat(20_000) }), new Budget(1e9));
    expect(value instanceof Fault ? value.message : value).toBe('the text is too long for so many matches');
  });

  it.each(['labels.long.matches("x{1000}")', 'labels.long.find("x{1000}") == ""'])(
    'what a pattern may take is known before: %s',
    (text) => {
      const { program } = environment.compile(text);
      const long = 'x'.repeat(1_000_000);
      expect(() => program?.run(() => ({ long }), new Budget(1_000_000))).toThrow(/cost limit exceeded/);
      expect(program?.run(() => ({ long: 'y'.repeat(1000) }), new Budget(1_000_000))).toBe(
        text.includes('find'),
      );
    },
  );

  it('answers rubbish with what is wrong, and never throws', () => {
    const parts = fc.constantFrom(
      ...[
        'self',
        '.a',
        '.l',
        '(',
        ')',
        '[',
        ']',
        '{',
        '}',
        '1',
        '"x"',
        '+',
        '==',
        '&&',
        '?',
        ':',
        ',',
        '!',
        '-',
      ],
      ...[
        '.map(',
        'e',
        '.size()',
        'in',
        'true',
        '1.5',
        '2u',
        '.?',
        'labels',
        'x',
        '.all(',
        '||',
        '%',
        "'",
        '\\',
        '`',
      ],
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(parts, { maxLength: 12 }).map((all) => all.join(' ')),
    );
    fc.assert(
      fc.property(text, (given) => {
        const { program } = environment.compile(given);
        try {
          program?.run((name) => variables[name], new Budget(1000));
        } catch (error) {
          expect(isPodwrightError(error, 'E_LIMIT')).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
