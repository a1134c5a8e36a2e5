import { describe, expect, it } from 'vitest';
import type { Cost } from './row.ts';
import { renderRow } from './table.ts';

const row = { name: 'list', operation: 'object looked at', of: 'objects' };
const costOf = (processorMs: number): Cost => ({
  ...{ operations: 1000, processorMs, allThreadsMs: 2 * processorMs, longestTurnMs: 7.25 },
});

describe('renderRow()', () => {
  it('shows what an operation costs at each size, and how that grew', () => {
    const text = renderRow(row, [
      { size: 10, cost: costOf(5) },
      { size: 10_000, cost: { ...costOf(20), also: { before: 4096, after: 12_345 } } },
    ]);
    expect(text.split('\n')).toEqual([
      'list: object looked at (×4.0 from the smallest to the largest)',
      '  objects  µs per operation  of all threads  longest turn  also',
      '       10                 5              10        7.3 ms',
      '   10,000                20              40        7.3 ms  before 4,096, after 12,345',
    ]);
  });

  it('says of a size why it was not measured', () => {
    const text = renderRow(row, [
      { size: 10, cost: costOf(5) },
      { size: 20, cost: 'ended with 1' },
    ]);
    expect(text.split('\n')).toEqual([
      'list: object looked at',
      expect.stringMatching(/^ {2}objects/),
      expect.stringMatching(/^ +10 +5 +10 +7\.3 ms$/),
      expect.stringMatching(/^ +20 +ended with 1$/),
    ]);
  });
});
