import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { describeError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { classify, databaseFile, logFile, openContents, openForWriting, takeLock } from './disk-open.ts';
import {
  unpackValues,
  type DiskOptions,
  type DiskRequest,
  type DiskRow,
  type DiskWrite,
} from './disk-protocol.ts';
import { readDisk, type DiskContents, type Marks } from './disk-tables.ts';
import { FreePages } from './free-pages.ts';
import {
  addToTotal,
  damaged,
  sumOfLease,
  sumOfMark,
  sumOfRow,
  takeFromTotal,
  type LogEnd,
} from './integrity.ts';
import { LogSync } from '#control-plane/store/log/log-sync.ts';
import { MarkFile } from './mark-file.ts';
import { RowChunks, type Reply } from './row-chunks.ts';

interface Disk {
  readonly options: DiskOptions;
  readonly database: DatabaseSync;
  readonly lock: DatabaseSync;
  readonly begin: StatementSync;
  readonly commit: StatementSync;
  readonly insertRow: StatementSync;
  readonly deleteRow: StatementSync;
  readonly putLease: StatementSync;
  readonly deleteLease: StatementSync;
  readonly putMark: StatementSync;
  readonly log: LogSync;
  readonly markFile: MarkFile;
  readonly freePages: FreePages;
  /** By path, as they were opened. */
  readonly inodes: ReadonlyMap<string, number | undefined>;
  end: LogEnd;
  removedTotal: number;
  leaseTotal: number;
  isDamaged: boolean;
  isScrubbing: boolean;
  stopScrub?: () => void;
}

if (parentPort !== null) serve(parentPort, workerData as DiskOptions);

function serve(port: MessagePort, options: DiskOptions): void {
  const reply: Reply = (message, transfer = []) => port.postMessage(message, [...transfer]);
  let disk: Disk;
  try {
    disk = openDisk(options, reply);
  } catch (error) {
    reply({ kind: 'refused', ...classify(error, true) });
    port.close();
    return;
  }
  // An error that nobody caught ends the thread, and with it SQLite's log (close-at-exit.ts).
  const close = (): void => closeDisk(disk);
  process.once('exit', close);
  port.on('message', (request: DiskRequest) => {
    switch (request.kind) {
      case 'close':
        process.off('exit', close);
        close();
        if (request.isClosed !== undefined) {
          Atomics.store(request.isClosed, 0, 1);
          Atomics.notify(request.isClosed, 0);
        }
        reply({ kind: 'closed' });
        port.close();
        return;
      case 'inspect':
        inspect(disk, request.isDeep, reply);
        return;
      case 'write':
        answerWrite(disk, request, reply);
        return;
      default:
        unreachable(request);
    }
  });
}

function openDisk(options: DiskOptions, reply: Reply): Disk {
  const lock = takeLock(options.directory);
  const chunks = new RowChunks(reply);
  const { contents, notes } = openContents(options, (found) => chunks.add(found));
  chunks.flush();
  const { end, marks, id, leases } = contents;
  const database = openForWriting(options);
  const log = new LogSync(logFile(options.directory));
  const disk: Disk = {
    options,
    database,
    lock,
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
    insertRow: database.prepare('INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    deleteRow: database.prepare('DELETE FROM log WHERE row = ? RETURNING sum'),
    putLease: database.prepare('INSERT INTO lease VALUES (?, ?, ?, ?)'),
    deleteLease: database.prepare('DELETE FROM lease WHERE id = ? RETURNING sum'),
    putMark: database.prepare('INSERT OR REPLACE INTO mark VALUES (?, ?, ?)'),
    log,
    markFile: new MarkFile(options.markFile, (error) => declareDamaged(disk, describeError(error), reply)),
    freePages: new FreePages({ database, log }, (error) => noteVacuumFailure(disk, error, reply)),
    inodes: new Map(
      [databaseFile(options.directory), logFile(options.directory)].map((path) => [path, inodeOf(path)]),
    ),
    end,
    removedTotal: marks.removedTotal,
    leaseTotal: marks.leaseTotal,
    isDamaged: false,
    isScrubbing: false,
  };
  disk.markFile.raise({ id, state: 'open', ...end });
  disk.markFile.sync();
  reply({
    kind: 'opened',
    id,
    revision: end.revision,
    compactRevision: marks.compactRevision,
    lastRow: end.row,
    leases,
    notes,
  });
  disk.freePages.look();
  return disk;
}

function answerWrite(disk: Disk, request: DiskWrite, reply: Reply): void {
  try {
    write(disk, request);
  } catch (error) {
    const failure = classify(error);
    if (failure.code === 'E_DAMAGED') declareDamaged(disk, failure.message, reply);
    reply({ kind: 'failed', ...failure });
    return;
  }
  // It is on the disk, so it has happened, whatever becomes of the mark; while the other thread wakes, that is written.
  reply({ kind: 'written' });
  if (request.rowsGone.length > 0) disk.freePages.look();
  try {
    disk.markFile.raise(disk.end);
  } catch (error) {
    declareDamaged(disk, `write ${disk.options.markFile}: ${describeError(error)}`, reply);
  }
}

/** What a write changes besides rows; taken over when it is on the disk. */
interface Tally {
  end: LogEnd;
  removedTotal: number;
  leaseTotal: number;
}

function write(disk: Disk, request: DiskWrite): void {
  if (disk.isDamaged) throw damaged('it was found damaged');
  const values = unpackValues(request.rows, request.values);
  const tally: Tally = { end: disk.end, removedTotal: disk.removedTotal, leaseTotal: disk.leaseTotal };
  disk.log.check();
  disk.begin.run();
  try {
    request.rows.forEach((row, index) => insertRow(disk, tally, row, values[index]));
    writeLeases(disk, tally, request);
    for (const row of request.rowsGone) {
      const gone = disk.deleteRow.get(row);
      if (gone === undefined) throw damaged(`row ${row} is missing`);
      tally.removedTotal = addToTotal(tally.removedTotal, Number(gone['sum']));
    }
    if (request.compactRevision > 0) {
      const revision = Math.max(request.revision, tally.end.revision);
      putMarks(disk, {
        revision,
        compactRevision: request.compactRevision,
        lastRow: tally.end.row,
        lastTotal: tally.end.total,
        removedTotal: tally.removedTotal,
      });
      tally.end = { ...tally.end, revision };
    }
    disk.commit.run();
    disk.log.sync();
  } catch (error) {
    // SQLite has already rolled back by itself after some errors (a full disk among them), and there is nothing of one of `sync`.
    if (disk.database.isTransaction) disk.database.exec('ROLLBACK');
    throw error;
  }
  Object.assign(disk, tally);
}

function insertRow(disk: Disk, tally: Tally, row: DiskRow, value: Uint8Array | undefined): void {
  const { revision, createRevision, version, key, lease, deleted } = row;
  const sum = sumOfRow(row, value);
  const total = addToTotal(tally.end.total, sum);
  disk.insertRow.run(
    row.row,
    revision,
    createRevision,
    key,
    lease,
    deleted ? 1 : 0,
    value ?? null,
    sum,
    total,
    version,
  );
  tally.end = { row: row.row, revision, total };
}

function writeLeases(disk: Disk, tally: Tally, request: DiskWrite): void {
  for (const lease of request.leases) {
    const sum = sumOfLease(lease);
    const before = disk.deleteLease.get(lease.id);
    if (before !== undefined) tally.leaseTotal = takeFromTotal(tally.leaseTotal, Number(before['sum']));
    disk.putLease.run(lease.id, lease.ttlSeconds, lease.expiresAtMs, sum);
    tally.leaseTotal = addToTotal(tally.leaseTotal, sum);
  }
  for (const id of request.leasesGone) {
    const gone = disk.deleteLease.get(id);
    if (gone !== undefined) tally.leaseTotal = takeFromTotal(tally.leaseTotal, Number(gone['sum']));
  }
  if (tally.leaseTotal !== disk.leaseTotal) putMarks(disk, { leaseTotal: tally.leaseTotal });
}

function putMarks(disk: Disk, marks: Partial<Marks>): void {
  for (const [name, value] of Object.entries(marks)) disk.putMark.run(name, value, sumOfMark(name, value));
}

/** A full disk is told to who writes; the next compaction tries again. */
function noteVacuumFailure(disk: Disk, error: unknown, reply: Reply): void {
  const failure = classify(error);
  if (failure.code === 'E_DAMAGED') declareDamaged(disk, failure.message, reply);
}

function declareDamaged(disk: Disk, message: string, reply: Reply): void {
  if (disk.isDamaged) return;
  disk.isDamaged = true;
  reply({ kind: 'damaged', message });
}

/** Whether what is written still goes where the next start will look for it; deep: whether what was written is there. */
function inspect(disk: Disk, isDeep: boolean, reply: Reply): void {
  if (disk.isDamaged) return;
  for (const [path, inode] of disk.inodes) {
    if (inodeOf(path) === inode) continue;
    declareDamaged(disk, `${path} was removed or replaced while it was in use`, reply);
    return;
  }
  if (!disk.markFile.isInPlace) {
    declareDamaged(disk, `${disk.options.markFile} was removed or replaced while it was in use`, reply);
  } else if (isDeep && !disk.isScrubbing) scrub(disk, reply);
}

/** Reads every row back, some in each turn, as of one moment; writes go on meanwhile. */
function scrub(disk: Disk, reply: Reply): void {
  const database = new DatabaseSync(databaseFile(disk.options.directory), { readOnly: true });
  const end = (error?: unknown): void => {
    disk.isScrubbing = false;
    database.close();
    const failure = error === undefined ? undefined : classify(error, true);
    if (failure?.code === 'E_DAMAGED') declareDamaged(disk, failure.message, reply);
  };
  disk.isScrubbing = true;
  database.exec('PRAGMA cell_size_check=ON; BEGIN');
  const reading: Generator<undefined, DiskContents> = readDisk(database, {
    visit: () => undefined,
    mark: disk.end,
  });
  const step = (): void => {
    if (!disk.isScrubbing) return;
    try {
      if (reading.next().done === true) end();
      else setImmediate(step);
    } catch (error) {
      end(error);
    }
  };
  step();
  disk.stopScrub = () => end();
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function closeDisk(disk: Disk): void {
  if (disk.isScrubbing) disk.stopScrub?.();
  disk.freePages.close();
  if (!disk.isDamaged) {
    disk.markFile.raise({ state: 'closing' });
    disk.markFile.sync();
  }
  disk.database.close();
  disk.log[Symbol.dispose]();
  disk.markFile[Symbol.dispose]();
  disk.lock.exec('ROLLBACK');
  disk.lock.close();
}
