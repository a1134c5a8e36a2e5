import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { Environment } from './environment.ts';
import { listOf, mapOf, types } from './check/cel-type.ts';
import { Budget } from './eval/budget.ts';
import { callCostMax } from './rules/run-rules.ts';
import type { Value } from './eval/values.ts';

const environment = new Environment({
  variables: {
    l: listOf(types.int),
    texts: listOf(types.string),
    text: types.string,
    m: mapOf(types.string, types.string),
    deep: types.dyn,
    x: types.dyn,
  },
});

/** As large as one object may be. */
const deep = Object.fromEntries(
  Array.from({ length: 300 }, (_, index) => [
    `k${index}`,
    Array.from({ length: 300 }, (_, other) => ({ v: other })),
  ]),
);
const variables: Readonly<Record<string, Value>> = {
  l: Array.from({ length: 100_000 }, (_, index) => index),
  texts: Array.from({ length: 20_000 }, (_, index) => `text-${index}-${'ä'.repeat(40)}`),
  text: 'ab🦊'.repeat(300_000),
  m: Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key-${index}`, `value-${index}`])),
  deep,
  x: 1,
};

/** What one expression may hold the loop for at most; upstream means a tenth of a second, on a machine that does nothing else. Of the processor's time. */
const mostMs = 4_000;

function timeOf(text: string): { readonly ms: number; readonly error?: string | undefined } {
  const { program, error } = environment.compile(text);
  if (program === undefined) return { ms: 0, error };
  const before = process.threadCpuUsage();
  try {
    program.run((name) => variables[name], new Budget(callCostMax));
  } catch (thrown) {
    if (!isPodwrightError(thrown, 'E_LIMIT')) throw thrown;
  }
  const { user, system } = process.threadCpuUsage(before);
  return { ms: (user + system) / 1000 };
}

describe('no expression holds the loop for longer than its budget', () => {
  it.each([
    'l.all(a, l.all(b, l.all(c, a + b + c >= 0)))',
    'l.map(a, l + l)',
    'l.map(a, deep == deep)',
    'l.map(a, text.size())',
    'l.map(a, text == text + "x")',
    'l.map(a, text < text)',
    'l.map(a, size(m) + a)',
    'texts.map(t, texts.join(t))',
    'texts.map(t, t in texts)',
    'texts.map(t, text.contains(t))',
    'texts.map(t, text.indexOf(t))',
    'texts.map(t, text.replace("a", t))',
    'texts.map(t, text.split("b"))',
    'texts.map(t, text.lastIndexOf("z"))',
    'texts.all(t, text.substring(1).startsWith(t))',
    'text.matches("(a|b|ab)*c(a*)*(a*)*(a*)*(a*)*$")',
    'texts.all(t, !t.matches("(" + t + ")*(a?){500}x"))',
    'texts.map(t, text.findAll("."))',
    'm.transformMap(k, v, m.transformMap(k2, v2, v2))',
    'm.all(k, m.all(k2, m[k] == m[k2]))',
    'texts.distinct().size() == texts.sort().size()',
    'lists.range(1000000000).size()',
    'm.all(k, deep[texts])',
    'm.all(k, deep[dyn(m)])',
    'm.all(k, {texts: 1, texts: 2} == {})',
    'l.map(a, l.sum() + l.max())',
    'l.sortBy(a, -a)',
    'sets.equivalent(l, l)',
    'texts.map(t, timestamp("2026-01-01T00:00:00Z").getHours("Europe/Berlin"))',
    'texts.map(t, quantity("1" + t.substring(0, 1)).isGreaterThan(quantity("1")))',
    'texts.map(t, "%s %s".format([deep, t]))',
    'texts.map(t, string(deep))',
    'l.map(a, {"a": a, "b": l}).map(e, e == e)',
    'l.map(a, [a, a]).flatten().map(b, l.slice(0, 1000))',
    'l.map(a, deep.map(k, deep[k]) == deep.map(k, deep[k]))',
    'quantity("1e999999999").asApproximateFloat() > 1.0',
    'semver("1.2.3-" + texts.join(".")).isLessThan(semver("1.2.3"))',
    'url("https://a.example/" + text).getQuery().size()',
    'duration("1h" + texts.join("1h")) == duration("1h")',
    'int("9".replace("9", text))',
    'x == 1 ? l.filter(a, a % 2 == 0).map(b, l.filter(c, c == b)) : []',
  ])('%s', (text) => {
    expect(timeOf(text).ms).toBeLessThan(mostMs);
  });

  const leaf = fc.constantFrom('l', 'texts', 'text', 'm', 'deep', 'x', 'e', '1', '"a"', '[1, 2]', 'true');
  const { expression } = fc.letrec<{ expression: string }>((tie) => {
    const inner = tie('expression');
    const call = fc.constantFrom(
      'size',
      'min',
      'sum',
      'trim',
      'reverse',
      'sort',
      'isSorted',
      'distinct',
      'join',
    );
    const pair = fc.constantFrom('contains', 'matches', 'indexOf', 'startsWith', 'split', 'findAll', 'find');
    const macro = fc.constantFrom('all', 'exists', 'map', 'filter', 'exists_one');
    const sign = fc.constantFrom('+', '==', '<', 'in', '&&', '||', '-', '%', '*');
    return {
      expression: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        fc.tuple(inner, call).map(([a, name]) => `${a}.${name}()`),
        fc.tuple(inner, pair, inner).map(([a, name, b]) => `${a}.${name}(${b})`),
        fc.tuple(inner, macro, inner).map(([a, name, b]) => `${a}.${name}(e, ${b})`),
        fc.tuple(inner, sign, inner).map(([a, name, b]) => `(${a} ${name} ${b})`),
        fc.tuple(inner, inner, inner).map(([a, b, c]) => `(dyn(${a}) == true ? ${b} : ${c})`),
        fc.tuple(inner, inner).map(([a, b]) => `${a}[${b}]`),
      ),
    };
  });

  /** Others by PODWRIGHT_FUZZ_SEED: what is too slow stops everything beside it, which is not for a run that must end. */
  const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? 20_261_201);

  it('whatever it is put together of', { timeout: 180_000 }, () => {
    const untilMs = performance.now() + 5_000;
    fc.assert(
      fc.property(expression, (text) => {
        if (performance.now() > untilMs) return;
        expect({ text, isSlow: timeOf(text).ms > mostMs }).toEqual({ text, isSlow: false });
      }),
      { numRuns: 20_000, seed },
    );
  });
});
