import { describe, expect, it } from 'vitest';

import { rowProblem, rowsFor, runRow } from './rows.ts';
import { judge } from './tally.ts';

describe('rowsFor()', () => {
  const rows = [{ sh: 'all' }, { sh: 'new', since: 24 }, { sh: 'old', until: 20 }];

  it.each([
    { minor: 20, names: ['all', 'old'] },
    { minor: 23, names: ['all'] },
    { minor: 24, names: ['all', 'new'] },
  ])('gives 1.$minor what it knows', ({ minor, names }) => {
    expect(rowsFor(rows, minor).map(({ sh }) => sh)).toEqual(names);
  });
});

describe('rowProblem()', () => {
  it.each([
    {
      name: 'all as wanted',
      row: { sh: 'x', says: [/one/, /two/] },
      given: { code: 0, text: 'one two' },
      want: undefined,
    },
    { name: 'a code', row: { sh: 'x' }, given: { code: 1, text: 'why' }, want: /exit code 1, not 0\nwhy/ },
    {
      name: 'a wanted code',
      row: { sh: 'x', code: 1 },
      given: { code: 0, text: '' },
      want: /exit code 0, not 1/,
    },
    {
      name: 'a word that is missing',
      row: { sh: 'x', says: [/one/, /two/] },
      given: { code: 0, text: 'one' },
      want: /does not say \/two\//,
    },
    {
      name: 'a word too many',
      row: { sh: 'x', silentOn: /one/ },
      given: { code: 0, text: 'one' },
      want: /says \/one\//,
    },
  ])('tells $name', ({ row, given, want }) => {
    const problem = rowProblem(row, given);
    if (want === undefined) expect(problem).toBeUndefined();
    else expect(problem).toMatch(want);
  });
});

describe('runRow()', () => {
  it('hears both streams, and the exit code', async () => {
    const shell = { directory: '/', environment: { WORD: 'said' } };
    const row = { sh: 'echo $WORD; echo $PWD >&2; exit 3', code: 3, says: /^said\n\/$/ };
    expect(await runRow(row, shell)).toBeUndefined();
  });
});

describe('judge()', () => {
  const later = { issue: 9, why: 'not yet' };

  it.each([
    { problem: undefined, expected: undefined, kind: 'passed' },
    { problem: 'no', expected: undefined, kind: 'failed' },
    { problem: 'no', expected: later, kind: 'expected' },
    { problem: undefined, expected: later, kind: 'failed' },
  ])('of $problem, expected $expected: $kind', ({ problem, expected, kind }) => {
    expect(judge(problem, expected).kind).toBe(kind);
  });
});
