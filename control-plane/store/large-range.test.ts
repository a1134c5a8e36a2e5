import { expect, test } from 'vitest';
import { Mvcc } from './mvcc.ts';
import { RecentRanges } from './recent-ranges.ts';
import type { RangeResult, StoreOp, StoredValue } from './store.ts';
import { put } from './store.conformance.ts';

/** Keys are looked at in steps of 512. */
const keys = Array.from({ length: 1_500 }, (_none, i) => `/many/${String(i).padStart(4, '0')}`);

function commit(mvcc: Mvcc, ops: readonly StoreOp[]): void {
  const staged = mvcc.stage({ expect: [], ops });
  expect(staged.ok).toBe(true);
  if (staged.ok) mvcc.settle(staged.revision);
}

function filled(): Mvcc {
  const mvcc = new Mvcc();
  commit(
    mvcc,
    keys.map((key) => put(key, 'first')),
  );
  return mvcc;
}

/** To its end; `between` each two steps something is done. */
function rangeOf(mvcc: Mvcc, between: () => void = () => {}): RangeResult {
  const steps = mvcc.range('/many/', {});
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    between();
  }
}

function textsOf({ values }: RangeResult): ReadonlySet<string> {
  return new Set(values.map(({ value }) => Buffer.from(value).toString()));
}

test('a range is of one revision, whatever is written between its steps', () => {
  const mvcc = filled();
  let round = 0;
  const range = rangeOf(mvcc, () => {
    round++;
    commit(mvcc, [
      ...keys.filter((_key, i) => i % 3 === 0).map((key): StoreOp => ({ op: 'delete', key })),
      ...keys.filter((_key, i) => i % 3 === 1).map((key) => put(key, `round ${round}`)),
      ...Array.from({ length: 300 }, (_none, i) => put(`/many/${i}-${round}`, 'new')),
    ]);
  });
  expect(round).toBeGreaterThan(1);
  expect(range.revision).toBe(1);
  expect(range.values.map(({ key }) => key)).toEqual(keys);
  expect(textsOf(range)).toEqual(new Set(['first']));
});

test('what is compacted between its steps is read anew, as of then; of a revision that was named, it is said', () => {
  const mvcc = filled();
  const change = (): void => {
    commit(
      mvcc,
      keys.map((key) => put(key, 'second')),
    );
    for (const _step of mvcc.compact(mvcc.revision, 100));
  };
  let isDone = false;
  const range = rangeOf(mvcc, () => {
    if (!isDone) change();
    isDone = true;
  });
  expect(range.revision).toBe(2);
  expect(range.values.map(({ key }) => key)).toEqual(keys);
  expect(textsOf(range)).toEqual(new Set(['second']));

  const named = mvcc.range('/many/', { revision: 2, limit: keys.length });
  named.next();
  change();
  expect(() => Array.from(named)).toThrow('compacted');
});

test('is not made anew while nothing under the prefix changes', () => {
  const mvcc = filled();
  const first = rangeOf(mvcc);
  commit(mvcc, [put('/other', 'x')]);
  const second = rangeOf(mvcc);
  expect(second.revision).toBe(2);
  expect(second.values).toBe(first.values);
  commit(mvcc, [put('/many/0007', 'changed')]);
  expect(textsOf(rangeOf(mvcc))).toEqual(new Set(['first', 'changed']));
  commit(mvcc, [{ op: 'delete', key: '/many/0007' }]);
  expect(rangeOf(mvcc).values).toHaveLength(keys.length - 1);
  const staged = mvcc.stage({ expect: [], ops: [put('/many/0007', 'not yet')] });
  expect(staged.ok).toBe(true);
  expect(rangeOf(mvcc).values).toHaveLength(keys.length - 1);
  mvcc.rollback();
  expect(rangeOf(mvcc).values).toHaveLength(keys.length - 1);
});

test('what is kept of ranges has a bound, and who was asked for last stays', () => {
  const ranges = new RecentRanges();
  const values = Array.from({ length: 20_000 }, (): StoredValue => ({}) as StoredValue);
  for (const prefix of ['/a/', '/b/', '/c/']) ranges.keep(prefix, values);
  expect(ranges.get('/a/')).toBe(values);
  ranges.keep('/d/', values);
  expect(['/a/', '/b/', '/c/', '/d/'].filter((prefix) => ranges.get(prefix) !== undefined)).toEqual([
    '/a/',
    '/c/',
    '/d/',
  ]);
  ranges.keep('/few/', values.slice(0, 10));
  expect(ranges.get('/few/')).toBeUndefined();
});
