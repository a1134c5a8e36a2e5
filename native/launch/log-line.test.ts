import { describe, expect, it } from 'vitest';
import { formatLogLine, logLineBytesMax, noPartialLine, splitLogLines } from './log-line.ts';

describe('splitLogLines()', () => {
  it('gives the same lines wherever the text is split', () => {
    const text = Buffer.from(`one\n\n${'x'.repeat(logLineBytesMax + 5)}\ntwo`);
    const whole = splitLogLines(noPartialLine, text);
    for (const at of [0, 1, 3, 4, 5, 6, logLineBytesMax, logLineBytesMax + 7, text.length]) {
      const first = splitLogLines(noPartialLine, text.subarray(0, at));
      const second = splitLogLines(first.rest, text.subarray(at));
      expect([...first.lines, ...second.lines]).toEqual(whole.lines);
      expect(second.rest).toEqual(whole.rest);
    }
    expect(whole.lines.map((line) => [line.text.length, line.isFull])).toEqual([
      [3, true],
      [0, true],
      [logLineBytesMax, false],
      [5, true],
    ]);
  });
});

describe('formatLogLine()', () => {
  it('is the CRI format', () => {
    const line = formatLogLine(1_500_000_000_123, 'stderr', Buffer.from('text'), false);
    expect(line.toString()).toBe('2017-07-14T02:40:00.123000000Z stderr P text\n');
  });
});
