import fs, {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { nextTurn } from '#base/time-slice.ts';
import type { AuditEvent } from './event.ts';
import { logTo } from './audit.fixture.ts';
import { openLogSink, planTidying, type LogFileOptions } from './log-file.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-audit-log-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const event = (name: string): AuditEvent => ({
  json: `{"auditID":"${name}"}`,
  legacy: `id="${name}"`,
  withoutBodies: undefined,
});
const lineOf = (name: string): string =>
  `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"${name}"}\n`;

function open(more: Partial<LogFileOptions> = {}): ReturnType<typeof openLogSink> & {
  readonly lost: string[];
  readonly clock: ReturnType<typeof createFakeClock>;
} {
  const lost: string[] = [];
  const clock = createFakeClock();
  const options = logTo(join(directory, 'audit.log'), more);
  const sink = openLogSink(options, { clock, onLost: (count, why) => lost.push(`${count} ${why}`) });
  return Object.assign(sink, { lost, clock });
}

describe('openLogSink()', () => {
  it('appends lines, in the order in which they came, for nobody else to read', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `e${index}`);
    await using sink = open();

    await Promise.all(names.map((name) => sink.take([event(name)])));
    await sink.take([event('x'), event('y')]);
    const text = readFileSync(join(directory, 'audit.log'), 'utf8');
    expect(text).toBe([...names, 'x', 'y'].map(lineOf).join(''));
    expect(statSync(join(directory, 'audit.log')).mode & 0o777).toBe(0o600);
  });

  it('writes by the main thread what is little, and leaves it to others for fifty times as long as one took that was slow', async () => {
    await using sink = open();

    let stepMs = 0;
    const { clock } = sink;
    const monotonic = clock.monotonic.bind(clock);
    vi.spyOn(clock, 'monotonic').mockImplementation(() => {
      clock.advance(stepMs);
      return monotonic();
    });
    const written = vi.spyOn(fs, 'writeSync');
    syncBuiltinESMExports();
    const take = async (name: string): Promise<number> => {
      written.mockClear();
      await sink.take([event(name)]);
      return written.mock.calls.length;
    };
    expect(await take('a')).toBe(1);
    expect(await take('x'.repeat(100_000))).toBe(0);
    stepMs = 6;
    expect(await take('b')).toBe(1);
    stepMs = 0;
    expect(await take('c')).toBe(0);
    clock.advance(290);
    expect(await take('d')).toBe(0);
    clock.advance(10);
    expect(await take('e')).toBe(1);
    written.mockRestore();
    syncBuiltinESMExports();
    const text = readFileSync(join(directory, 'audit.log'), 'utf8');
    expect(text).toBe(['a', 'x'.repeat(100_000), 'b', 'c', 'd', 'e'].map(lineOf).join(''));
  });

  it('writes in the same turn what somebody waits for, with what came before and nobody does', async () => {
    await using sink = open();

    await sink.take([event('a')]);
    await nextTurn();
    let isOver = false;
    setImmediate(() => (isOver = true));
    expect(sink.take([event('b')], false)).toBe(true);
    await sink.take([event('c')]);
    expect(isOver).toBe(false);
    expect(readFileSync(join(directory, 'audit.log'), 'utf8')).toBe(['a', 'b', 'c'].map(lineOf).join(''));
  });

  it('writes words where that was asked for', async () => {
    await using sink = open({ format: 'legacy' });

    await sink.take([event('a')]);
    expect(readFileSync(join(directory, 'audit.log'), 'utf8')).toBe('id="a"\n');
  });

  it('sets full files aside without losing a line, however many come at once', async () => {
    const names = Array.from({ length: 300 }, (_, index) => `event-${index}`);
    {
      await using sink = open({ bytesMax: 1000 });

      for (let start = 0; start < names.length; start += 7) {
        await Promise.all(names.slice(start, start + 7).map((name) => sink.take([event(name)])));
      }
    }
    const files = readdirSync(directory).toSorted();
    expect(files.length).toBeGreaterThan(10);
    const texts = files.map((file) => readFileSync(join(directory, file), 'utf8'));
    expect(texts.join('').split('\n').toSorted()).toEqual(names.map(lineOf).join('').split('\n').toSorted());
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(1000);
  });

  it('keeps as many as it was told, compressed where it was told', async () => {
    {
      await using sink = open({ bytesMax: 80, backupsMax: 2, compress: true });

      for (const name of ['a', 'b', 'c', 'd', 'e']) await sink.take([event(name)]);
    }
    const files = readdirSync(directory).toSorted();
    expect(files).toHaveLength(3);
    const texts = files.map((file) => {
      const bytes = readFileSync(join(directory, file));
      return file.endsWith('.gz') ? gunzipSync(bytes).toString() : bytes.toString();
    });
    expect(files.filter((file) => file.endsWith('.log.gz'))).toHaveLength(2);
    expect(texts).toEqual([lineOf('c'), lineOf('d'), lineOf('e')]);
  });

  it('lets whoever may read the file read what comes after it, and what is packed', async () => {
    const path = join(directory, 'audit.log');
    {
      await using sink = open({ bytesMax: 80, compress: true });

      await sink.take([event('a')]);
      chmodSync(path, 0o640);
      for (const name of ['b', 'c']) await sink.take([event(name)]);
    }
    const modes = readdirSync(directory).map((name) => statSync(join(directory, name)).mode & 0o777);
    expect(modes).toEqual([0o640, 0o640, 0o640]);
  });

  it('tidies when it begins what an earlier one left, and makes directories', async () => {
    const deep = join(directory, 'a', 'b');
    mkdirSync(deep, { recursive: true });
    const old = ['01', '02', '03'].map((day) => `audit-1970-01-${day}T00-00-00.000.log`);
    for (const name of [...old, `${old[2]}.gz.draft`]) writeFileSync(join(deep, name), 'x');
    {
      await using sink = open({ path: join(deep, 'audit.log'), backupsMax: 2, compress: true });

      await sink.begin?.();
    }
    expect(readdirSync(deep).toSorted()).toEqual([`${old[1]}.gz`, `${old[2]}.gz`, 'audit.log']);
    {
      await using sink = open({ path: join(directory, 'x', 'y', 'audit.log') });

      await sink.begin?.();
    }
    expect(statSync(join(directory, 'x')).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['moved away', (path: string) => renameSync(path, `${path}.1`)],
    ['removed', (path: string) => unlinkSync(path)],
  ])('finds out that its file was %s by somebody else', async (_how, act) => {
    await using sink = open();

    const path = join(directory, 'audit.log');
    await sink.take([event('a')]);
    act(path);
    sink.clock.advance(2_000);
    await sink.take([event('b')]);
    expect(readFileSync(path, 'utf8')).toBe(lineOf('b'));
  });

  it('says that the disk is full, and of how many events', async () => {
    await using sink = open({ path: '/dev/full' });

    expect(await sink.take([event('a'), event('b')])).toBe(false);
    expect(sink.lost).toEqual([expect.stringMatching(/^2 ENOSPC/)]);
  });

  it('refuses to begin where it cannot write at all', async () => {
    await using sink = open({ path: '/dev/null/none/audit.log' });

    await expect(sink.begin?.()).rejects.toThrow('--audit-log-path /dev/null/none/audit.log');
  });
});

describe('planTidying()', () => {
  const at = (day: number): string => `audit-2026-01-0${day}T00-00-00.000.log`;
  const names = [
    'audit.log',
    at(1),
    `${at(2)}.gz`,
    `${at(3)}.gz`,
    at(3),
    'audit-x.log',
    'other.log',
    'audit-2026.log',
  ];
  const nowMs = Date.parse('2026-01-04T00:00:00Z');
  it.each([
    ['nothing', { backupsMax: 0, ageMsMax: 0 }, []],
    ['the oldest of too many', { backupsMax: 2, ageMsMax: 0 }, [at(1)]],
    ['what is too old', { backupsMax: 0, ageMsMax: 1.5 * 86_400_000 }, [`${at(2)}.gz`, at(1)]],
  ])('removes %s', (_name, bounds, want) => {
    expect(planTidying(names, 'audit.log', bounds, nowMs).remove).toEqual(want);
  });
});
