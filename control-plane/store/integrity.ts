import { dirname } from 'node:path';
import { shellWord } from '#base/shell-word.ts';
import { crc32 } from 'node:zlib';
import { PodwrightError } from '#base/errors.ts';
import type { DiskFailure, DiskLease, DiskRow } from './disk-protocol.ts';

/**
 * Sums by which damage shows. Every row has a CRC-32 of all that it holds, and the *total* of the sums of all rows ever written,
 * up to itself: a chain over the log. Compaction removes rows from the middle of the log, so it keeps the total of what it
 * removed; hence, at any time
 *
 *     total of the last row − total of what was removed = sum of the rows that are there
 *
 * A row that is missing, doubled, older than it should be or another's breaks it. Two logs of different pasts differ in their
 * totals, which is how a copy of another time is told from the log itself.
 */
const totalModulus = 2 ** 48; // Below 2^53, so that a total is a number.

export function sumOfRow(row: DiskRow, value: Uint8Array | undefined): number {
  const { revision, createRevision, version, key, lease, deleted, size } = row;
  // Rows of releases that did not count puts keep the sums that they have.
  const counted = version === 0 ? '' : ` ${version}`;
  const head = crc32(
    `${row.row} ${revision} ${createRevision}${counted} ${lease} ${deleted ? 1 : 0} ${size} ${key}`,
  );
  return value === undefined ? head : crc32(value, head);
}

export function sumOfLease({ id, ttlSeconds, expiresAtMs }: DiskLease): number {
  return crc32(`lease ${id} ${ttlSeconds} ${expiresAtMs}`);
}

export function sumOfMark(name: string, value: number): number {
  return crc32(`mark ${name} ${value}`);
}

export function addToTotal(total: number, sum: number): number {
  return (total + sum) % totalModulus;
}

export function takeFromTotal(total: number, sum: number): number {
  return (total - sum + totalModulus) % totalModulus;
}

/** How far the log has come. */
export interface LogEnd {
  readonly revision: number;
  readonly row: number;
  readonly total: number;
}

export const logStart: LogEnd = { revision: 0, row: 0, total: 0 };

/** A log that was read from disk and found to be whole in itself. */
export interface LogFound {
  readonly end: LogEnd;
  /** The total at the row of the mark, where that row is still there. */
  readonly totalAtMark: number | undefined;
}

/** What is missing from a log in itself whole that should have come as far as the mark, or undefined. */
export function lossBefore(mark: LogEnd, { end, totalAtMark }: LogFound): string | undefined {
  if (end.row < mark.row || end.revision < mark.revision) {
    const lost = mark.revision - end.revision;
    const range =
      lost > 1 ? `revisions ${end.revision + 1} to ${mark.revision}` : `revision ${mark.revision}`;
    return `it ends at revision ${end.revision}, and ${lost > 0 ? range : `row ${mark.row}`} had been written: store.db-wal was cut or removed, or this is an older copy`;
  }
  const total = end.row === mark.row ? end.total : totalAtMark;
  if (total === undefined || total === mark.total) return undefined;
  return `its history up to revision ${mark.revision} is another than the one that was written: this is a copy of another time`;
}

/** @param what was found, where; without what to do, which the one who opens the store knows. */
export function damaged(what: string, cause?: unknown): PodwrightError {
  return new PodwrightError('E_DAMAGED', what, cause === undefined ? {} : { cause });
}

/** A write that the disk refused, for a person: what is there stays. Pure. */
export function writeFailure(code: DiskFailure, directory: string, cause: string): PodwrightError {
  return new PodwrightError(code, `write to store ${directory}: ${cause}${remedyFor(code, directory)}`);
}

/** What a person does about a failure, to follow its message; empty where the message says all. Pure. */
export function remedyFor(code: DiskFailure, directory: string): string {
  if (code === 'E_NO_SPACE') return '; free some space on its disk';
  if (code !== 'E_DAMAGED') return '';
  const dataDir = dirname(directory);
  return `; nothing was changed: put back a copy of all of ${dataDir}, or keep what is whole, and lose the rest, with podwright store salvage --data ${shellWord(dataDir)}`;
}
