import { appendFile, mkdtemp, open, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { array, assert, asyncProperty, constantFrom, nat, property, tuple, uint8Array } from 'fast-check';
import { systemClock } from '#base/clock.ts';
import { LogFilter, type LogFilterOptions } from './log-filter.ts';
import { readLogs, type ReadLogsOptions } from './read-logs.ts';
import { tailOffset } from './tail.ts';

const { signal } = new AbortController(); // The deadline is that of each test.
const clock = systemClock;
const scratch = scratchDirectory('podwright-logs-');
let directory = '';
let path = '';

beforeEach(async () => {
  directory = await mkdtemp(`${scratch}/`);
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

  it.each([
    { name: 'a million lines of ten megabytes', of: () => `${at(1)} stdout F x\n`.repeat(200_000) },
    { name: 'one line of fifty', of: () => `${at(1)} stdout P ${'x'.repeat(16_384)}\n`.repeat(3_000) },
    { name: 'bytes that are no log', of: () => 'x'.repeat(20_000_000) },
  ])('reads each byte once at most: $name', async ({ of }) => {
    await writeFile(path, of());
    await using file = await open(path, 'r');
    const end = (await file.stat()).size;
    const counted = counting(file);
    expect(await tailOffset(counted, { lines: 1_000_000, end }, signal)).toBe(0);
    expect(counted.bytesRead).toBeLessThanOrEqual(end);
  });

  it('reads no more of a large log than what it looks for', async () => {
    const lines = Array.from({ length: 50_000 }, (_, n) => `${at(1)} stdout F line ${n}\n`).join('');
    await writeFile(path, lines);
    await using file = await open(path, 'r');
    const counted = counting(file);
    const offset = await tailOffset(counted, { lines: 2, end: (await file.stat()).size }, signal);
    expect(lines.slice(offset)).toBe(`${at(1)} stdout F line 49998\n${at(1)} stdout F line 49999\n`);
    expect(counted.bytesRead).toBe(65_536);
  });

  it('stops where it is aborted', async () => {
    await writeFile(path, `${at(1)} stdout F x\n`.repeat(50_000));
    await using file = await open(path, 'r');
    const abort = new AbortController();
    const counted = counting(file, () => abort.abort());
    const { size: end } = await file.stat();
    await expect(tailOffset(counted, { lines: 1_000_000, end }, abort.signal)).rejects.toThrow('aborted');
    expect(counted.bytesRead).toBe(65_536);
  });

  it('finds what a reader of the whole log would', async () => {
    const record = tuple(constantFrom('stdout', 'stderr'), constantFrom('P', 'F', 'torn'), nat(90_000));
    await assert(
      asyncProperty(array(record, { maxLength: 12 }), nat(8), async (records, lines) => {
        const texts = records.map(([stream, tag, length]) =>
          tag === 'torn' ? `torn ${stream}\n` : `${at(1)} ${stream} ${tag} ${'x'.repeat(length % 17_000)}\n`,
        );
        await writeFile(path, texts.join(''));
        await using file = await open(path, 'r');
        const offset = await tailOffset(file, { lines, end: texts.join('').length }, signal);
        const isEnd = records.map(
          ([stream, tag], n) =>
            tag === 'F' ||
            (tag === 'P' && !records.slice(n + 1).some(([other, t]) => other === stream && t !== 'torn')),
        );
        const ends = [...isEnd.keys()].filter((n) => isEnd[n]);
        const before = ends.length > lines ? (ends.at(-lines - 1) ?? 0) + 1 : 0;
        const want = lines === 0 ? texts.join('') : texts.slice(0, before).join('');
        expect(offset).toBe(want.length);
      }),
      { numRuns: 200 },
    );
  });
});

function counting(
  file: FileHandle,
  onRead: () => void = () => undefined,
): Pick<FileHandle, 'read'> & { readonly bytesRead: number } {
  let bytesRead = 0;
  const read = async (buffer: Buffer, offset: number, length: number, position: number) => {
    const result = await file.read(buffer, offset, length, position);
    bytesRead += result.bytesRead;
    onRead();
    return result;
  };
  return {
    read: read as FileHandle['read'],
    get bytesRead() {
      return bytesRead;
    },
  };
}

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

  it('of a log that somebody emptied goes on at its beginning', async () => {
    await writeFile(path, `${at(1)} stdout F one\n${at(1)} stdout F two\n`);
    let isRunning = true;
    const reader = readLogs(path, { clock, follow: true, isRunning: () => isRunning }, signal);
    await reader.next();
    await writeFile(path, `${at(2)} stdout F three\n`);
    expect(Buffer.from((await reader.next()).value ?? []).toString()).toBe('three\n');
    isRunning = false;
    await appendFile(path, '');
    expect((await reader.next()).done).toBe(true);
  });

  it('goes on after a record that is too long', async () => {
    await writeFile(path, `${at(1)} stdout F ${'x'.repeat(1_000_000)}\n${at(2)} stdout F last\n`);
    expect(await text()).toBe('last\n');
  });

  it('takes from a log no more than its reader does', async () => {
    await writeFile(path, `${at(1)} stdout F ${'x'.repeat(10_000)}\n`.repeat(1000));
    const reader = readLogs(path, { clock }, signal);
    const first = await reader.next();
    expect(first.value?.length).toBeLessThanOrEqual(65_536);
    expect((await reader.return(undefined)).done).toBe(true);
  });

  it('reads what was renamed while there is no new file yet', async () => {
    await writeFile(path, log);
    await rename(path, `${path}.20261120-000000`);
    expect(await text({ tailLines: 1 })).toBe('last\n');
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
