import { describe, expect, it } from 'vitest';
import { Environment } from '#api/cel/environment.ts';
import { Budget } from '#api/cel/eval/budget.ts';

const environment = new Environment({ variables: {} });

/**
 * What calls of Kubernetes' libraries are estimated at, and what they cost, where the expression says all sizes (apiserver/pkg/cel/library).
 * Lists and maps of constants cost nothing when run: they are made once.
 */
const rows: readonly (readonly [expression: string, min: number, max: number, cost: number])[] = [
  ['[3, 1, 2].sum()', 13, 13, 3],
  ['[3u, 1u].max()', 12, 12, 2],
  ["[duration('1h'), duration('2h'), duration('3h')].isSorted()", 16, 16, 3],
  ['[true, false].indexOf(false)', 12, 12, 2],
  ["'a text of thirty-one characters'.lastIndexOf('of')", 4, 4, 3],
  ["url('https://example.com').getHost()", 3, 3, 3],
  ["url('https://a.b') == url('https://example.com/of/thirty-five')", 7, 10, 7],
  ["url('https://example.com/of/thirty-five') == url('https://a.b')", 7, 8, 7],
  ["url('ftp://a.b') == url('ftp://a.b')", 3, 3, 3],
  ["ip('10.0.0.1').family()", 2, 2, 2],
  ["cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))", 5, 9, 6],
  ["cidr('10.0.0.0/8').masked() == cidr('10.0.0.0/8')", 4, 4, 4],
  ["'Eleven char'.upperAscii() == 'x'", 3, 3, 3],
  ["strings.quote('Eleven char')", 2, 2, 2],
  ["'one, two'.replace(', ', ' and ')", 2, 2, 2],
  ["'one, two'.split(', ')", 2, 2, 2],
  ["'one, two'.find('[a-z]+')", 2, 2, 2],
  ["quantity('1Gi').add(quantity('1Mi')).isGreaterThan(quantity('1G'))", 5, 5, 5],
  ["quantity('1') == quantity('1000m') || quantity('1').isInteger()", 3, 5, 3],
  ["format.named('dns1123Label').value() == format.named('dns1123Label').value()", 5, 11, 5],
  ['sets.contains([1, 2, 3], [2, 3])', 27, 27, 7],
  ['sets.equivalent([1, 2], [2, 1])', 29, 29, 9],
  ['!sets.intersects([1, 2], [3])', 24, 24, 4],
  ["semver('1.2.3').compareTo(semver('1.3.0'))", 3, 3, 3],
  ["{'a': 1}.all(k, v, v > 0)", 34, 36, 6],
  ['[1, 2, 3].transformList(i, v, v + i)', 66, 66, 46],
];

describe('calls of libraries', () => {
  it.each(rows)('%s', (expression, min, max, cost) => {
    const { program, error } = environment.compile(expression);
    expect(error).toBeUndefined();
    const budget = new Budget(1_000_000);
    program?.run(() => undefined, budget);
    expect([program?.estimate(), budget.spent]).toEqual([{ min, max }, cost]);
  });
});
