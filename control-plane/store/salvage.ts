import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { syncDirectorySync } from '#base/durable-file.ts';
import { PodwrightError } from '#base/errors.ts';
import { databaseFile, sqliteCode, takeLock } from './disk-open.ts';
import type { DiskLease } from './disk-protocol.ts';
import {
  createTables,
  noMarks,
  readIdentity,
  toFoundRow,
  toLease,
  type FoundRow,
  type Marks,
} from './disk-tables.ts';
import { addToTotal, sumOfLease, sumOfMark, sumOfRow, type LogEnd } from './integrity.ts';
import { createMark, readMark } from './mark-file.ts';

export interface Salvage {
  /** Keys of which the newest whole version was kept. */
  readonly kept: number;
  /** Rows that were read and are not as they were written. */
  readonly refused: number;
  /** Whether SQLite could not read on at some place. */
  readonly isPartial: boolean;
  readonly revision: number;
  /** Where the damaged files are now; undefined where there were none. */
  readonly damagedDirectory: string | undefined;
}

interface Readable {
  readonly id: string | undefined;
  readonly rows: readonly FoundRow[];
  readonly leases: readonly DiskLease[];
  readonly refused: number;
  readonly isPartial: boolean;
}

/** The revision goes on from here: what a client has seen of revisions that are lost is not taken for what comes. */
const revisionGap = 1000;

/**
 * Makes a store of what is whole in a damaged one, which is set aside. Cut off at any place it can be run again. Everything that
 * clients remember of the past is compacted: they list anew.
 * @throws E_BUSY when a server has it open; E_NOT_FOUND when there is nothing
 */
export function salvageStore(directory: string, markFile: string, nowMs: number): Salvage {
  const mark = readMark(markFile);
  const source = existsSync(databaseFile(directory)) ? directory : newestAside(directory);
  if (source === undefined && mark === 'absent' && !existsSync(directory)) {
    throw new PodwrightError('E_NOT_FOUND', `salvage store ${directory}: there is none, nor was there one`);
  }
  using lock = takeLock(directory);

  const found = source === undefined ? nothing : readWhatIsWhole(source);
  const known = typeof mark === 'string' ? undefined : mark;
  const rows = newestOfEach(found.rows);
  const newest = Math.max(0, ...[known?.revision ?? 0, ...found.rows.map(({ row }) => row.revision)]);
  const id = known?.id ?? found.id ?? randomUUID();
  const draft = `${directory}.salvage`;
  const leases = leasesFor(rows, found.leases, nowMs);
  const end = writeStore(draft, {
    id,
    rows,
    leases,
    revision: newest + revisionGap,
    rowAtLeast: known?.row ?? 0,
  });
  const damagedDirectory = source === undefined ? undefined : setAside(directory, source);
  // Without a store nothing is set aside, and the lock is all that is in the way.
  if (existsSync(directory)) rmSync(directory, { recursive: true });
  renameSync(draft, directory);
  syncDirectorySync(dirname(directory));
  createMark(markFile, { id, state: 'closing', ...end });
  lock.exec('ROLLBACK');
  return {
    kept: rows.length,
    refused: found.refused,
    isPartial: found.isPartial,
    revision: end.revision,
    damagedDirectory,
  };
}

const nothing: Readable = { id: undefined, rows: [], leases: [], refused: 0, isPartial: false };

const asideName = (directory: string, number: number): string => `${directory}.damaged-${number}`;

/** What a salvage that was cut off had set aside already. */
function newestAside(directory: string): string | undefined {
  if (!existsSync(dirname(directory))) return undefined;
  const prefix = `${basename(directory)}.damaged-`;
  const numbers = readdirSync(dirname(directory))
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)));
  return numbers.length === 0 ? undefined : asideName(directory, Math.max(...numbers));
}

function setAside(directory: string, source: string): string {
  if (source !== directory) return source;
  let number = 1;
  while (existsSync(asideName(directory, number))) number++;
  renameSync(directory, asideName(directory, number));
  return asideName(directory, number);
}

function readWhatIsWhole(directory: string): Readable {
  const rows: FoundRow[] = [];
  let [refused, isPartial, after] = [0, false, -1];
  let step = 1;
  try {
    using database = new DatabaseSync(databaseFile(directory), { readOnly: true });

    const select = database.prepare('SELECT * FROM log WHERE row > ? ORDER BY row LIMIT 64');
    const last = Number(database.prepare('SELECT max(row) AS last FROM log').get()?.['last'] ?? 0);
    while (after < last) {
      try {
        const slice = select.all(after).map(toFoundRow);
        const whole = slice.filter(hasSum);
        rows.push(...whole);
        refused += slice.length - whole.length;
        after = slice.at(-1)?.row.row ?? last;
        step = 1;
      } catch (error) {
        if (sqliteCode(error) === undefined) throw error;
        isPartial = true;
        after += step; // Over the page that cannot be read, in ever longer strides.
        step *= 2;
      }
    }
    return {
      id: orUndefined(() => readIdentity(database)),
      rows,
      leases: orUndefined(() => readLeases(database)) ?? [],
      refused,
      isPartial,
    };
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
    return { ...nothing, rows, refused, isPartial: true };
  }
}

/** Rows of an earlier release have no sum, and are taken as they are. */
function hasSum({ row, value, sum }: FoundRow): boolean {
  return Number.isNaN(sum) || sum === sumOfRow(row, value);
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined; // The rest is worth having without it.
  }
}

function readLeases(database: DatabaseSync): readonly DiskLease[] {
  return database
    .prepare('SELECT * FROM lease')
    .all()
    .filter((found) => found['sum'] === undefined || found['sum'] === sumOfLease(toLease(found)))
    .map(toLease);
}

function newestOfEach(rows: readonly FoundRow[]): readonly FoundRow[] {
  const newest = new Map<string, FoundRow>();
  for (const found of rows) newest.set(found.row.key, found);
  return [...newest.values()]
    .filter(({ row, value }) => !row.deleted && value !== undefined)
    .toSorted((a, b) => a.row.row - b.row.row);
}

/** Those that are whole, and an hour for keys whose lease is not. */
function leasesFor(
  rows: readonly FoundRow[],
  whole: readonly DiskLease[],
  nowMs: number,
): readonly DiskLease[] {
  const leases = new Map(whole.map((lease) => [lease.id, lease]));
  for (const { row } of rows) {
    if (row.lease === 0 || leases.has(row.lease)) continue;
    leases.set(row.lease, { id: row.lease, ttlSeconds: 3600, expiresAtMs: nowMs + 3_600_000 });
  }
  return [...leases.values()];
}

interface Contents {
  readonly id: string;
  readonly rows: readonly FoundRow[];
  readonly leases: readonly DiskLease[];
  readonly revision: number;
  readonly rowAtLeast: number;
}

function writeStore(directory: string, { id, rows, leases, revision, rowAtLeast }: Contents): LogEnd {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o700 });
  using database = new DatabaseSync(databaseFile(directory));

  database.exec('PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;');
  createTables(database, id);
  database.exec('BEGIN IMMEDIATE');
  const insert = database.prepare('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  let total = 0;
  for (const { row, value } of rows) {
    const sum = sumOfRow(row, value);
    total = addToTotal(total, sum);
    const { revision: at, createRevision, key, lease, version } = row;
    insert.run(row.row, at, createRevision, key, lease, 0, value ?? null, sum, total, version);
  }
  let leaseTotal = 0;
  for (const lease of leases) {
    const sum = sumOfLease(lease);
    leaseTotal = addToTotal(leaseTotal, sum);
    database
      .prepare('INSERT INTO lease VALUES (?, ?, ?, ?)')
      .run(lease.id, lease.ttlSeconds, lease.expiresAtMs, sum);
  }
  const row = Math.max(rowAtLeast, rows.at(-1)?.row.row ?? 0) + 1;
  const marks: Marks = {
    ...noMarks,
    revision,
    compactRevision: revision,
    lastRow: row,
    lastTotal: total,
    leaseTotal,
  };
  const put = database.prepare('INSERT OR REPLACE INTO mark VALUES (?, ?, ?)');
  for (const [name, value] of Object.entries(marks)) put.run(name, value, sumOfMark(name, value));
  database.exec('COMMIT');
  return { revision, row, total };
}
