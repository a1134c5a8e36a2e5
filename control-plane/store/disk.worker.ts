import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import {
  packValues,
  unpackValues,
  type DiskFailure,
  type DiskLease,
  type DiskOptions,
  type DiskReply,
  type DiskRequest,
  type DiskRow,
  type DiskWrite,
} from './disk-protocol.ts';

const schema = `
  CREATE TABLE IF NOT EXISTS log (
    row INTEGER PRIMARY KEY, revision INTEGER NOT NULL, create_revision INTEGER NOT NULL,
    key TEXT NOT NULL, lease INTEGER NOT NULL, deleted INTEGER NOT NULL, value BLOB) STRICT;
  CREATE TABLE IF NOT EXISTS lease (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
`;
const chunkBytes = 4_194_304;
const pageBytes = 4096;
/** 8 MiB of log between checkpoints, each of which syncs the database besides. */
const checkpointPages = 2048;
/** A page in the log has a frame header (https://www.sqlite.org/fileformat2.html#walformat). */
const frameBytes = pageBytes + 24;

interface Disk {
  readonly database: DatabaseSync;
  readonly lock: DatabaseSync;
  readonly insertRow: StatementSync;
  readonly deleteRow: StatementSync;
  readonly putLease: StatementSync;
  readonly deleteLease: StatementSync;
  readonly putMark: StatementSync;
}

if (parentPort !== null) serve(parentPort, workerData as DiskOptions);

function serve(port: MessagePort, options: DiskOptions): void {
  const reply = (message: DiskReply, transfer: readonly ArrayBuffer[] = []): void =>
    port.postMessage(message, [...transfer]);
  let disk: Disk;
  try {
    disk = openDisk(options);
    load(disk, reply);
  } catch (error) {
    reply({ kind: 'refused', ...classify(error) });
    port.close();
    return;
  }
  port.on('message', (request: DiskRequest) => {
    if (request.kind === 'close') {
      closeDisk(disk);
      reply({ kind: 'closed' });
      port.close();
      return;
    }
    try {
      write(disk, request);
      reply({ kind: 'written' });
    } catch (error) {
      reply({ kind: 'failed', ...classify(error) });
    }
  });
}

function openDisk(options: DiskOptions): Disk {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const lock = takeLock(options.directory);
  const file = join(options.directory, 'store.db');
  lengthenLog(`${file}-wal`);
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA page_size=${pageBytes}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
    PRAGMA wal_autocheckpoint=${checkpointPages};`);
  if (options.sizeBytesMax > 0) {
    database.exec(`PRAGMA max_page_count=${Math.max(16, Math.floor(options.sizeBytesMax / pageBytes))}`);
  }
  database.exec(schema);
  return {
    database,
    lock,
    insertRow: database.prepare('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)'),
    deleteRow: database.prepare('DELETE FROM log WHERE row = ?'),
    putLease: database.prepare('INSERT OR REPLACE INTO lease VALUES (?, ?, ?)'),
    deleteLease: database.prepare('DELETE FROM lease WHERE id = ?'),
    putMark: database.prepare('INSERT OR REPLACE INTO mark VALUES (?, ?)'),
  };
}

/**
 * Gives the write-ahead log its full length before SQLite opens it: a commit over blocks that the file has is durable in half
 * the time of one that makes it longer, for that changes the file system's own records, too. SQLite reads a log up to the
 * first frame that is not valid, as zeros are not, and starts again at its beginning after a checkpoint.
 */
function lengthenLog(file: string): void {
  const descriptor = openSync(file, 'a', 0o600);
  try {
    const missing = checkpointPages * frameBytes - fstatSync(descriptor).size;
    if (missing > 0) writeSync(descriptor, new Uint8Array(missing));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * One process per directory. The lock is SQLite's own file lock on a second, empty database, so that the kernel drops it with
 * the process and store.db itself stays readable by `sqlite3` meanwhile.
 */
function takeLock(directory: string): DatabaseSync {
  const lock = new DatabaseSync(join(directory, 'lock.db'));
  const holderFile = join(directory, 'lock.pid');
  try {
    lock.exec('PRAGMA busy_timeout=0; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (sqliteCode(error) !== 5) throw error;
    throw new PodwrightError('E_BUSY', `process ${readHolder(holderFile)} has it open`);
  }
  const file = openSync(holderFile, 'w', 0o600);
  writeSync(file, String(process.pid));
  closeSync(file);
  return lock;
}

function readHolder(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '(unknown)'; // The holder has not written its id yet.
  }
}

function load(disk: Disk, reply: (message: DiskReply, transfer: readonly ArrayBuffer[]) => void): void {
  let rows: DiskRow[] = [];
  let values: (Uint8Array | undefined)[] = [];
  let bytes = 0;
  const flush = (): void => {
    const packed = packValues(values);
    reply({ kind: 'chunk', rows, values: packed }, [packed.buffer]);
    rows = [];
    values = [];
    bytes = 0;
  };
  for (const found of disk.database.prepare('SELECT * FROM log ORDER BY row').iterate()) {
    const value = found['value'] instanceof Uint8Array ? found['value'] : undefined;
    rows.push({
      row: Number(found['row']),
      revision: Number(found['revision']),
      createRevision: Number(found['create_revision']),
      key: String(found['key']),
      lease: Number(found['lease']),
      deleted: found['deleted'] === 1,
      size: value?.byteLength ?? -1,
    });
    values.push(value);
    bytes += value?.byteLength ?? 0;
    if (bytes >= chunkBytes) flush();
  }
  flush();
  const marks = new Map(
    disk.database
      .prepare('SELECT * FROM mark')
      .all()
      .map((mark) => [String(mark['name']), Number(mark['value'])]),
  );
  const leases = disk.database
    .prepare('SELECT * FROM lease')
    .all()
    .map((lease): DiskLease => ({
      id: Number(lease['id']),
      ttlSeconds: Number(lease['ttl_seconds']),
      expiresAtMs: Number(lease['expires_at_ms']),
    }));
  const compactRevision = marks.get('compactRevision') ?? 0;
  reply({ kind: 'opened', revision: marks.get('revision') ?? 0, compactRevision, leases }, []);
}

function write(disk: Disk, request: DiskWrite): void {
  const values = unpackValues(request.rows, request.values);
  disk.database.exec('BEGIN IMMEDIATE');
  try {
    request.rows.forEach((row, index) => {
      const value = values[index] ?? null;
      const { revision, createRevision, key, lease } = row;
      disk.insertRow.run(row.row, revision, createRevision, key, lease, row.deleted ? 1 : 0, value);
    });
    for (const lease of request.leases) disk.putLease.run(lease.id, lease.ttlSeconds, lease.expiresAtMs);
    for (const id of request.leasesGone) disk.deleteLease.run(id);
    for (const row of request.rowsGone) disk.deleteRow.run(row);
    if (request.compactRevision > 0) {
      disk.putMark.run('compactRevision', request.compactRevision);
      disk.putMark.run('revision', request.revision);
    }
    disk.database.exec('COMMIT');
  } catch (error) {
    // SQLite has already rolled back by itself after some errors (a full disk among them).
    if (disk.database.isTransaction) disk.database.exec('ROLLBACK');
    throw error;
  }
}

function closeDisk(disk: Disk): void {
  disk.database.close();
  disk.lock.exec('ROLLBACK');
  disk.lock.close();
}

/** The primary result code of sqlite (https://www.sqlite.org/rescode.html), or undefined. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

function classify(error: unknown): { readonly code: DiskFailure; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (isPodwrightError(error, 'E_BUSY')) return { code: 'E_BUSY', message };
  const errno = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return { code: 'E_NO_SPACE', message };
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') return { code: 'E_PERMISSION', message };
  switch (sqliteCode(error)) {
    case 5: // SQLITE_BUSY
      return { code: 'E_BUSY', message };
    case 13: // SQLITE_FULL
      return { code: 'E_NO_SPACE', message };
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
      return { code: 'E_PERMISSION', message };
    case undefined:
    default:
      return { code: 'E_INTERNAL', message };
  }
}
