import { describe, expect, it } from 'vitest';
import { logFault, startFault, type StartLog } from './campaign-logs.ts';
import { campaignPod, logFilesMax } from './campaign-pods.ts';

/** Text of a file with these lines. */
const text = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, at) => `2026-01-01T00:00:00Z stdout F line ${from + at}\n`).join('');
const log = (texts: readonly string[], more: Partial<StartLog> = {}): StartLog => ({
  start: 0,
  isOpen: true,
  texts,
  ...more,
});

describe('startFault()', () => {
  it.each<{ readonly name: string; readonly given: StartLog; readonly want: RegExp | undefined }>([
    { name: 'whole', given: log([text(0, 3), text(3, 5)]), want: undefined },
    { name: 'nothing yet', given: log(['']), want: undefined },
    { name: 'cut off in a line', given: log([text(0, 3), '2026-01-01T00:00:00Z std']), want: undefined },
    { name: 'a line lost', given: log([text(0, 3), text(4, 5)]), want: /^line 3 of the 2 files .*, not 3$/ },
    { name: 'a line twice', given: log([text(0, 3), text(2, 5)]), want: /^line 3/ },
    { name: 'a torn line between', given: log([text(0, 3), '2026-01', text(3, 5)]), want: /^line 3/ },
    { name: 'its first file lost', given: log([text(3, 5)]), want: /^0.log begins with .*line 3$/ },
    {
      name: 'its oldest files removed, as there are many',
      given: log(Array.from({ length: logFilesMax }, (_, at) => text(5 + at, 6 + at))),
      want: undefined,
    },
    {
      name: 'too many files',
      given: log(Array.from({ length: logFilesMax + 1 }, (_, at) => text(at, at + 1))),
      want: /files$/,
    },
    { name: 'nobody writes', given: log([text(0, 3)], { isOpen: false }), want: /is not there/ },
  ])('$name', ({ given, want }) => {
    if (want === undefined) expect(startFault(given)).toBeUndefined();
    else expect(startFault(given)).toMatch(want);
  });
});

describe('logFault()', () => {
  const ends = campaignPod(0);
  const noisy = campaignPod(3);

  it('wants all that a pod wrote that nobody struck, in one start', () => {
    expect(logFault([log([text(0, ends.linesMin)])], ends, false)).toBeUndefined();
    expect(logFault([log([text(0, ends.linesMin - 1)])], ends, false)).toMatch(/lines$/);
    expect(logFault([], ends, false)).toMatch(/0 starts/);
    expect(logFault([log(['']), log([text(0, 60)], { start: 1 })], ends, false)).toMatch(/2 starts/);
  });

  it('wants a log rotated that is large', () => {
    expect(logFault([log([text(0, noisy.linesMin)])], noisy, false)).toMatch(/not rotated/);
    expect(logFault([log([text(0, noisy.linesMin), ''])], noisy, false)).toBeUndefined();
    expect(logFault([log([text(0, noisy.linesMin)])], noisy, true)).toMatch(/not rotated/);
  });

  it('wants each start whole of a pod that was struck', () => {
    expect(logFault([log([text(0, 2)]), log([text(0, 1)], { start: 1 })], ends, true)).toBeUndefined();
    expect(logFault([log([text(0, 2)]), log([text(1, 2)], { start: 1 })], ends, true)).toMatch(/begins/);
  });
});
