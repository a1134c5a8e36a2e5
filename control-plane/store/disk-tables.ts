import type { DatabaseSync } from 'node:sqlite';
import type { DiskLease, DiskRow } from './disk-protocol.ts';
import { incrementalVacuum } from './free-pages.ts';
import {
  addToTotal,
  damaged,
  logStart,
  sumOfLease,
  sumOfMark,
  sumOfRow,
  takeFromTotal,
  type LogEnd,
  type LogFound,
} from './integrity.ts';

/** `PRAGMA user_version`: 0 is a store of the releases before sums, 2 of those that did not count the puts of a key. */
export const formatNow = 3;
export const formatWithoutVersions = 2;

export const schema = `
  CREATE TABLE IF NOT EXISTS log (
    row INTEGER PRIMARY KEY, revision INTEGER NOT NULL, create_revision INTEGER NOT NULL,
    key TEXT NOT NULL, lease INTEGER NOT NULL, deleted INTEGER NOT NULL, value BLOB,
    sum INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS lease (
    id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL, sum INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL, sum INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE IF NOT EXISTS identity (id TEXT PRIMARY KEY) STRICT;
`;

/** What the table `mark` holds. Each has its row from the first day; 0 until there is something to say. */
export interface Marks {
  /** The newest revision when compaction last ran, as it can remove the row that bore it; row and total likewise. */
  readonly revision: number;
  readonly lastRow: number;
  readonly lastTotal: number;
  readonly compactRevision: number;
  /** Of the sums of the rows that compaction removed. */
  readonly removedTotal: number;
  /** Of the sums of the leases that there are. */
  readonly leaseTotal: number;
}

export const noMarks: Marks = {
  revision: 0,
  lastRow: 0,
  lastTotal: 0,
  compactRevision: 0,
  removedTotal: 0,
  leaseTotal: 0,
};

export interface DiskContents extends LogFound {
  readonly id: string;
  readonly marks: Marks;
  readonly leases: readonly DiskLease[];
}

export interface FoundRow {
  readonly row: DiskRow;
  readonly value: Uint8Array | undefined;
  readonly sum: number;
  readonly total: number;
}

const sliceRows = 256;

/**
 * Reads everything, and checks all that it reads; yields now and then, for who has other things to do. `visit` is given each row
 * in order, before it is known whether all are there.
 * @throws E_DAMAGED; whatever SQLite finds by itself
 */
export function* readDisk(
  database: DatabaseSync,
  options: { readonly visit: (found: FoundRow) => void; readonly mark: LogEnd },
): Generator<undefined, DiskContents> {
  const marks = readMarks(database);
  let [last, sum, totalAtMark]: [LogEnd, number, number | undefined] = [logStart, 0, undefined];
  if (options.mark.row === 0) totalAtMark = 0;
  let count = 0;
  for (const each of database.prepare('SELECT * FROM log ORDER BY row').iterate()) {
    const found = toFoundRow(each);
    const { row } = found;
    if (found.sum !== sumOfRow(row, found.value)) {
      throw damaged(`row ${row.row} (${row.key}, revision ${row.revision}) is not as it was written`);
    }
    if (row.row <= last.row || row.revision < last.revision) {
      throw damaged(`row ${row.row} (${row.key}, revision ${row.revision}) is in the wrong place`);
    }
    sum = addToTotal(sum, found.sum);
    last = { row: row.row, revision: row.revision, total: found.total };
    if (row.row === options.mark.row) totalAtMark = found.total;
    options.visit(found);
    if (++count % sliceRows === 0) yield;
  }
  const end =
    marks.lastRow > last.row
      ? { row: marks.lastRow, revision: marks.revision, total: marks.lastTotal }
      : last;
  if (takeFromTotal(end.total, marks.removedTotal) !== sum) {
    throw damaged('the rows of the log do not add up: some are missing, or of another time');
  }
  const leases = readLeases(database, marks.leaseTotal);
  return {
    id: readIdentity(database),
    marks,
    leases,
    end: { ...end, revision: Math.max(end.revision, marks.revision) },
    totalAtMark,
  };
}

export function toFoundRow(found: Readonly<Record<string, unknown>>): FoundRow {
  const value = found['value'] instanceof Uint8Array ? found['value'] : undefined;
  const row: DiskRow = {
    row: Number(found['row']),
    revision: Number(found['revision']),
    createRevision: Number(found['create_revision']),
    version: Number(found['version'] ?? 0),
    key: String(found['key']),
    lease: Number(found['lease']),
    deleted: found['deleted'] === 1,
    size: value?.byteLength ?? -1,
  };
  return { row, value, sum: Number(found['sum']), total: Number(found['total']) };
}

export function readIdentity(database: DatabaseSync): string {
  const ids = database.prepare('SELECT id FROM identity').all();
  if (ids.length !== 1) throw damaged('it does not say whose it is');
  return String(ids[0]?.['id']);
}

export function readMarks(database: DatabaseSync): Marks {
  const found = new Map<string, number>();
  for (const each of database.prepare('SELECT * FROM mark').all()) {
    const [name, value] = [String(each['name']), Number(each['value'])];
    if (sumOfMark(name, value) !== each['sum']) throw damaged(`its mark ${name} is not as it was written`);
    found.set(name, value);
  }
  const get = (name: keyof Marks): number => {
    const value = found.get(name);
    if (value === undefined) throw damaged(`its mark ${name} is missing`);
    return value;
  };
  return {
    revision: get('revision'),
    lastRow: get('lastRow'),
    lastTotal: get('lastTotal'),
    compactRevision: get('compactRevision'),
    removedTotal: get('removedTotal'),
    leaseTotal: get('leaseTotal'),
  };
}

export function toLease(found: Readonly<Record<string, unknown>>): DiskLease {
  return {
    id: Number(found['id']),
    ttlSeconds: Number(found['ttl_seconds']),
    expiresAtMs: Number(found['expires_at_ms']),
  };
}

function readLeases(database: DatabaseSync, leaseTotal: number): readonly DiskLease[] {
  let total = 0;
  const leases = database
    .prepare('SELECT * FROM lease')
    .all()
    .map((found) => {
      const lease = toLease(found);
      if (sumOfLease(lease) !== found['sum']) throw damaged(`its lease ${lease.id} is not as it was written`);
      total = addToTotal(total, sumOfLease(lease));
      return lease;
    });
  if (total !== leaseTotal) throw damaged('its leases do not add up: some are missing, or of another time');
  return leases;
}

/** The structure beneath the tables, as SQLite itself checks it. @throws E_DAMAGED with the first that it finds */
export function checkStructure(database: DatabaseSync): void {
  const [first] = database.prepare('PRAGMA quick_check(1)').all();
  const verdict = String(first?.['quick_check'] ?? 'no answer');
  if (verdict !== 'ok') throw damaged(verdict.split('\n').at(-1) ?? verdict);
}

/** Writes the tables of an empty database, in one transaction. */
export function createTables(database: DatabaseSync, id: string): void {
  database.exec(incrementalVacuum);
  database.exec('BEGIN IMMEDIATE');
  database.exec(schema);
  database.prepare('INSERT OR IGNORE INTO identity VALUES (?)').run(id);
  const put = database.prepare('INSERT OR IGNORE INTO mark VALUES (?, ?, ?)');
  for (const [name, value] of Object.entries(noMarks)) put.run(name, value, sumOfMark(name, value));
  database.exec(`PRAGMA user_version=${formatNow}; COMMIT`);
}

/**
 * Gives a store of an earlier release its sums, in one transaction. What it holds is taken as it is: nobody wrote down what it
 * should be.
 */
export function adoptTables(database: DatabaseSync, id: string): void {
  database.exec('BEGIN IMMEDIATE');
  for (const table of ['log', 'lease', 'mark']) addColumn(database, table, 'sum');
  addColumn(database, 'log', 'total');
  addColumn(database, 'log', 'version');
  database.exec(schema);
  let [end, after] = [logStart, -1];
  const rows = database.prepare('SELECT * FROM log WHERE row > ? ORDER BY row LIMIT 512');
  const setSum = database.prepare('UPDATE log SET sum = ?, total = ? WHERE row = ?');
  for (let slice = rows.all(after); slice.length > 0; slice = rows.all(after)) {
    for (const { row, value } of slice.map(toFoundRow)) {
      const sum = sumOfRow(row, value);
      end = {
        row: row.row,
        revision: Math.max(end.revision, row.revision),
        total: addToTotal(end.total, sum),
      };
      setSum.run(sum, end.total, row.row);
      after = row.row;
    }
  }
  let leaseTotal = 0;
  for (const lease of database.prepare('SELECT * FROM lease').all().map(toLease)) {
    database.prepare('UPDATE lease SET sum = ? WHERE id = ?').run(sumOfLease(lease), lease.id);
    leaseTotal = addToTotal(leaseTotal, sumOfLease(lease));
  }
  const known = new Map(
    database
      .prepare('SELECT name, value FROM mark')
      .all()
      .map(({ name, value }) => [name, Number(value)]),
  );
  const marks: Marks = {
    ...noMarks,
    revision: Math.max(end.revision, known.get('revision') ?? 0),
    compactRevision: known.get('compactRevision') ?? 0,
    lastRow: end.row,
    lastTotal: end.total,
    leaseTotal,
  };
  const put = database.prepare('INSERT OR REPLACE INTO mark VALUES (?, ?, ?)');
  for (const [name, value] of Object.entries(marks)) put.run(name, value, sumOfMark(name, value));
  database.prepare('INSERT OR IGNORE INTO identity VALUES (?)').run(id);
  database.exec(`PRAGMA user_version=${formatNow}; COMMIT`);
}

/** Gives a store of a release that did not count puts the room for it; its rows stay as they are. */
export function addVersions(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  addColumn(database, 'log', 'version');
  database.exec(`PRAGMA user_version=${formatNow}; COMMIT`);
}

function addColumn(database: DatabaseSync, table: string, column: string): void {
  const columns = database.prepare(`PRAGMA table_info(${table})`).all();
  if (columns.some(({ name }) => name === column)) return;
  database.exec(`ALTER TABLE ${table} ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0`);
}
