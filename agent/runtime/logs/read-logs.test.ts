import { appendFile, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assert, property, uint8Array } from 'fast-check';
import { systemClock } from '#base/clock.ts';
import { LogFilter, type LogFilterOptions } from './log-filter.ts';
import { readLogs, type ReadLogsOptions } from './read-logs.ts';
import { rotatedLogs, rotateLog } from './rotate-logs.ts';
import { tailOffset } from './tail.ts';

const signal = AbortSignal.timeout(60_000);
const clock = systemClock;
let directory = '';
let path = '';

beforeEach(async () => {
  directory = await mkdtemp('/tmp/podwright-logs-');
  path = `${directory}/0.log`;
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const at = (second: number): string => `2026-11-20T08:27:${String(second).padStart(2, '0')}.594980853Z`;
const log = [
  `${at(1)} stdout F one`,
  `${at(2)} stderr F two`,
  `${at(3)} stdout P thr`,
  `${at(3)} stderr F between`,
  `${at(4)} stdout F ee`,
  `${at(5)} stdout F `,
  `${at(6)} stdout F`,
  'torn line without form',
  `${at(7)} stdout F last`,
]
  .map((line) => `${line}\n`)
  .join('');

async function text(options: Partial<ReadLogsOptions> = {}): Promise<string> {
  const chunks = await Array.fromAsync(readLogs(path, { clock, ...options }, signal));
  return Buffer.concat(chunks).toString();
}

describe('LogFilter', () => {
  const cases: readonly {
    readonly name: string;
    readonly options: LogFilterOptions;
    readonly want: string;
  }[] = [
    { name: 'everything, parts joined', options: {}, want: 'one\ntwo\nthrbetween\nee\n\n\nlast\n' },
    { name: 'one stream', options: { stream: 'stderr' }, want: 'two\nbetween\n' },
    {
      name: 'stdout alone has its parts joined',
      options: { stream: 'stdout' },
      want: 'one\nthree\n\n\nlast\n',
    },
    { name: 'sinceTime', options: { sinceTimeMs: Date.parse(at(5)) }, want: '\n\nlast\n' },
    { name: 'limitBytes', options: { limitBytes: 6 }, want: 'one\ntw' },
    {
      name: 'timestamps, none before a continuation',
      options: { timestamps: true, stream: 'stdout', limitBytes: 80 },
      want: `${at(1)} one\n${at(3)} three\n${at(5)} \n`.slice(0, 80),
    },
  ];
  it.each(cases)('gives $name', ({ options, want }) => {
    expect(new LogFilter(options).push(Buffer.from(log)).toString()).toBe(want);
  });

  it('gives the same text however the bytes are cut', () => {
    const whole = new LogFilter({}).push(Buffer.from(log)).toString();
    for (let cut = 0; cut <= log.length; cut++) {
      const filter = new LogFilter({});
      const parts = [log.slice(0, cut), log.slice(cut)].map((part) =>
        filter.push(Buffer.from(part)).toString(),
      );
      expect(parts.join('')).toBe(whole);
    }
  });

  it('passes over bytes that are no log', () => {
    assert(property(uint8Array({ maxLength: 300 }), (bytes) => void new LogFilter({}).push(bytes)));
  });
});

describe('readLogs() of a log that grows meanwhile', () => {
  it.each([{ tailLines: 1 }, {}])(
    'ends where the log ended when it was asked for, with %j',
    async (options) => {
      await writeFile(path, log);
      const chunks = readLogs(path, { clock, limitBytes: 1000, ...options }, signal);
      const first = await chunks.next();
      await appendFile(path, `${at(8)} stdout F later\n`);
      const rest = await Array.fromAsync(chunks);
      expect(Buffer.concat([first.value ?? Buffer.alloc(0), ...rest]).toString()).toMatch(/last\n$/);
    },
  );
});

describe('tailOffset()', () => {
  it('counts whole lines from the end, a line in parts as one', async () => {
    await writeFile(path, log);
    expect(await text({ tailLines: 0 })).toBe('');
    expect(await text({ tailLines: 1 })).toBe('last\n');
    expect(await text({ tailLines: 100 })).toBe(await text());
    // Torn lines do not count; the line in parts and the one between its parts do.
    expect(await text({ tailLines: 5, stream: 'stdout' })).toBe('three\n\n\nlast\n');
  });

  it('reads a large file from its end', async () => {
    const lines = Array.from({ length: 50_000 }, (_, n) => `${at(1)} stdout F line ${n}\n`).join('');
    await writeFile(path, lines);
    await using file = await open(path, 'r');

    const offset = await tailOffset(file, { lines: 2, end: (await file.stat()).size });
    expect(lines.slice(offset)).toBe(`${at(1)} stdout F line 49998\n${at(1)} stdout F line 49999\n`);
  });
});

describe('readLogs()', () => {
  it('of a file that is not there is empty', async () => {
    expect(await text()).toBe('');
  });

  it('follows through rotations that it was too slow for, until the container has ended', async () => {
    await writeFile(path, `${at(1)} stdout F 1\n`);
    let isRunning = true;
    let wake = (): void => undefined;
    const onEnd = (listener: () => void): Disposable => {
      wake = listener;
      return { [Symbol.dispose]: () => undefined };
    };
    const reader = readLogs(path, { clock, follow: true, isRunning: () => isRunning, onEnd }, signal);
    expect(Buffer.from((await reader.next()).value ?? []).toString()).toBe('1\n');
    for (const n of [2, 3, 4]) {
      await appendFile(path, `${at(n)} stdout F ${n}\n`);
      await rename(path, `${path}.2026112${n}-000000`);
    }
    await writeFile(path, `${at(5)} stdout F 5\n`);
    isRunning = false;
    wake();
    const rest = await Array.fromAsync(reader);
    expect(Buffer.concat(rest).toString()).toBe('2\n3\n4\n5\n');
  });

  it('ends when it is aborted', async () => {
    await writeFile(path, '');
    const abort = new AbortController();
    const reader = readLogs(path, { clock, follow: true, isRunning: () => true }, abort.signal);
    const next = reader.next();
    abort.abort();
    expect((await next).done).toBe(true);
  });
});

describe('rotateLog()', () => {
  const rotation = { sizeBytesMax: 10, filesMax: 3 };
  const noReopen = async (): Promise<void> => writeFile(path, '');

  it('leaves a small log alone, and keeps so many files of a large one', async () => {
    await writeFile(path, 'small');
    expect(await rotateLog(path, { rotation, nowMs: 0, reopen: noReopen })).toBe(false);
    for (let second = 0; second < 5; second++) {
      await writeFile(path, `large enough ${second}`);
      expect(await rotateLog(path, { rotation, nowMs: second * 1000, reopen: noReopen })).toBe(true);
    }
    expect(await rotatedLogs(path)).toEqual([`${path}.19700101-000003`, `${path}.19700101-000004`]);
  });

  it('never writes over a rotated file', async () => {
    for (const want of [true, false]) {
      await writeFile(path, 'large enough');
      expect(await rotateLog(path, { rotation, nowMs: 0, reopen: noReopen })).toBe(want);
    }
  });

  it('puts the log back when the writer cannot be told', async () => {
    await writeFile(path, 'large enough');
    const reopen = async (): Promise<void> => {
      throw new Error('gone');
    };
    await expect(rotateLog(path, { rotation, nowMs: 0, reopen })).rejects.toThrow('gone');
    expect(await rotatedLogs(path)).toEqual([]);
    await open(path, 'r').then((file) => file.close());
  });
});
