import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLostCommits } from './log-tail.ts';

const pageBytes = 4096;
const frameBytes = pageBytes + 24;
const frameAt = (frame: number): number => 32 + frame * frameBytes;

let root = '';
/** A log of commits of one to three pages, written by SQLite; behind them frames of the log before it. */
let log: Buffer;
/** The numbers of the frames that end commits. */
let commits: readonly number[] = [];
let frames = 0;

beforeAll(() => {
  root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'podwright-log-tail-'));
  const file = join(root, 'x.db');
  using database = new DatabaseSync(file);

  database.exec(
    `PRAGMA page_size=${pageBytes}; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (v)`,
  );
  const insert = database.prepare('INSERT INTO t VALUES (zeroblob(?))');
  for (let i = 0; i < 20; i++) insert.run(9000);
  database.exec('PRAGMA wal_checkpoint(RESTART)');
  for (let i = 0; i < 12; i++) insert.run(i % 3 === 0 ? 9000 : 10);
  log = readFileSync(`${file}-wal`);
  const salts = log.subarray(16, 24);
  while (log.subarray(frameAt(frames) + 8, frameAt(frames) + 16).equals(salts)) frames++;
  commits = Array.from({ length: frames }, (_, frame) => frame).filter(
    (frame) => log.readUInt32BE(frameAt(frame) + 4) !== 0,
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function flipped(at: number, bit = 1): Uint8Array {
  const bytes = Buffer.from(log);
  bytes[at] = (bytes[at] ?? 0) ^ bit;
  return bytes;
}

describe('findLostCommits()', () => {
  it('finds nothing in a log as SQLite leaves it, with one of before behind it, or in zeros', () => {
    expect(commits.length).toBeGreaterThanOrEqual(12);
    expect(log.length).toBeGreaterThan(frameAt(frames + 5));
    expect(findLostCommits(log)).toBeUndefined();
    expect(findLostCommits(new Uint8Array(9_000_000))).toBeUndefined();
    expect(findLostCommits(new Uint8Array(0))).toBeUndefined();
  });

  it('tells a flipped bit of each frame and of the header, but in the last two commits', () => {
    const before = commits.at(-3) ?? 0;
    for (let frame = 0; frame <= before; frame++) {
      for (const offset of [0, 5, 9, 13, 17, 21, 24, 2000, frameBytes - 1]) {
        expect(findLostCommits(flipped(frameAt(frame) + offset)), `frame ${frame} + ${offset}`).toMatch(
          new RegExp(`frame ${frame + 1} of store.db-wal`),
        );
      }
    }
    for (let offset = 0; offset < 32; offset++) {
      expect(findLostCommits(flipped(offset)), `header + ${offset}`).toMatch(/header/);
    }
  });

  it('takes a write that was cut off for what it is, wherever that is', () => {
    const [beforeLast = 0, last = 0] = commits.slice(-2);
    for (let cut = frameAt(beforeLast + 1); cut < frameAt(last + 1); cut += 500) {
      const bytes = Buffer.from(log);
      bytes.fill(0, cut, frameAt(last + 1));
      expect(findLostCommits(bytes), `cut at ${cut}`).toBeUndefined();
    }
    // Blocks reach a disk in any order.
    for (let frame = beforeLast + 1; frame <= last; frame++) {
      const bytes = Buffer.from(log);
      bytes.fill(0, frameAt(frame), frameAt(frame + 1));
      expect(findLostCommits(bytes), `without frame ${frame}`).toBeUndefined();
    }
  });
});
