import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { removeDrafts, syncDirectorySync } from '#base/durable-file.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { DiskFailure, DiskOptions } from './disk-protocol.ts';
import {
  addVersions,
  adoptTables,
  checkStructure,
  createTables,
  formatNow,
  formatWithoutVersions,
  readDisk,
  type DiskContents,
  type FoundRow,
} from './disk-tables.ts';
import { incrementalVacuum, rebuild } from './free-pages.ts';
import { damaged, logStart, lossBefore } from './integrity.ts';
import { findLostCommits } from '#control-plane/store/log/log-tail.ts';
import { createMark, readMark, type StoreMark } from './mark-file.ts';

export const pageBytes = 4096;
/** 8 MiB of log between checkpoints, each of which syncs the database besides. */
export const checkpointPages = 2048;
/** A page in the log has a frame header (https://www.sqlite.org/fileformat2.html#walformat). */
const logBytesMin = checkpointPages * (pageBytes + 24);

export const databaseFile = (directory: string): string => join(directory, 'store.db');
export const logFile = (directory: string): string => join(directory, 'store.db-wal');

/** What lies in the directory and beside it, without a look into the database. */
export interface StoreFiles {
  readonly mark: StoreMark | 'absent' | 'damaged';
  /** Bytes, or undefined where there is no such file. */
  readonly databaseBytes: number | undefined;
  readonly logBytes: number | undefined;
  /** Something else says that there was a store. */
  readonly mustExist: boolean;
  readonly markName: string;
}

export type OpenPlan =
  | { readonly kind: 'create'; readonly isMarked: boolean }
  /** It may be of an earlier release, which its own format says. */
  | { readonly kind: 'adopt'; readonly isMarked: boolean }
  | { readonly kind: 'read'; readonly mark: StoreMark }
  | { readonly kind: 'refuse'; readonly what: string };

/** Whether this is a new store, an old one, or what is left of one. Pure. */
export function planOpen(files: StoreFiles): OpenPlan {
  const { mark, databaseBytes, logBytes, markName } = files;
  const missing = databaseBytes === undefined ? 'missing' : 'empty';
  const hasDatabase = databaseBytes !== undefined && databaseBytes > 0;
  if (mark === 'damaged') return { kind: 'refuse', what: `${markName} is damaged` };
  if (mark === 'absent') {
    if (hasDatabase) return { kind: 'adopt', isMarked: false };
    if (databaseBytes === undefined && logBytes === undefined && !files.mustExist)
      return { kind: 'create', isMarked: false };
    return { kind: 'refuse', what: `store.db is ${missing}, and this directory had a store` };
  }
  if (mark.state === 'new') return { kind: 'create', isMarked: true };
  if (!hasDatabase) {
    return { kind: 'refuse', what: `store.db is ${missing}, and had come to revision ${mark.revision}` };
  }
  if (mark.state === 'adopting') return { kind: 'adopt', isMarked: true };
  if (mark.state === 'open' && (logBytes === undefined || logBytes < logBytesMin)) {
    return {
      kind: 'refuse',
      what: `store.db-wal, which holds the newest writes, is ${logBytes === undefined ? 'missing' : `cut to ${logBytes} bytes`}`,
    };
  }
  return { kind: 'read', mark };
}

export interface Opened {
  readonly contents: DiskContents;
  readonly notes: readonly string[];
}

/**
 * Reads and checks a store, making or adopting it where there is none of this format. A store that is refused is left as it was:
 * it is read by a connection that cannot write.
 * @throws E_DAMAGED; errors of SQLite and of the kernel
 */
export function openContents(options: DiskOptions, visit: (found: FoundRow) => void): Opened {
  const { directory, markFile } = options;
  const plan = planOpen(findFiles(options));
  switch (plan.kind) {
    case 'refuse':
      throw damaged(plan.what);
    case 'create': {
      if (!plan.isMarked) createMark(markFile, { id: randomUUID(), state: 'new', ...logStart });
      const { id } = markOf(markFile);
      using database = new DatabaseSync(databaseFile(directory));

      setUp(database);
      createTables(database, id);
      break;
    }
    case 'adopt': {
      const format = formatOf(directory);
      const isWithSums = format === formatNow || format === formatWithoutVersions;
      if (isWithSums && !plan.isMarked)
        throw damaged(`${basename(markFile)}, which says how far it had come, is missing`);
      if (isWithSums) break;
      if (format !== 0)
        throw new PodwrightError('E_UNSUPPORTED', `it is of format ${format}, which a later release wrote`);
      return {
        ...adopt(options, plan.isMarked, visit),
        notes: ['a store of an earlier release got its checksums'],
      };
    }
    case 'read':
  }
  return { contents: readWhole(options, visit), notes: [] };
}

function adopt(
  options: DiskOptions,
  isMarked: boolean,
  visit: (found: FoundRow) => void,
): { readonly contents: DiskContents } {
  const { directory, markFile } = options;
  {
    using database = new DatabaseSync(databaseFile(directory), { readOnly: true });

    checkStructure(database);
  }
  if (!isMarked) createMark(markFile, { id: randomUUID(), state: 'adopting', ...logStart });
  {
    using database = new DatabaseSync(databaseFile(directory));

    setUp(database);
    adoptTables(database, markOf(markFile).id);
  }
  return { contents: readWhole(options, visit) };
}

function markOf(path: string): StoreMark {
  const mark = readMark(path);
  if (mark === 'absent' || mark === 'damaged') throw damaged(`${basename(path)} is ${mark}`);
  return mark;
}

/** The log's own chain, structure, sums, chain of rows, identity, and that it has come as far as its mark. */
function readWhole({ directory, markFile }: DiskOptions, visit: (found: FoundRow) => void): DiskContents {
  const mark = markOf(markFile);
  // Before SQLite looks at it, which takes damage for the end, and writes over what is behind that.
  checkLog(logFile(directory));
  using database = new DatabaseSync(databaseFile(directory), { readOnly: true });

  database.exec('PRAGMA cell_size_check=ON; BEGIN');
  const format = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (format > formatNow)
    throw new PodwrightError('E_UNSUPPORTED', `it is of format ${format}, which a later release wrote`);
  if (format !== formatNow && format !== formatWithoutVersions)
    throw damaged('store.db is of an earlier release, or damaged: it had another format');
  checkStructure(database);
  const reading = readDisk(database, { visit, mark });
  let step = reading.next();
  while (step.done !== true) step = reading.next();
  const contents = step.value;
  if (contents.id !== mark.id) {
    throw damaged(`store.db is of cluster ${contents.id}, ${basename(markFile)} of cluster ${mark.id}`);
  }
  const loss = lossBefore(mark, contents);
  if (loss !== undefined) throw damaged(loss);
  return contents;
}

/** @throws {E_DAMAGED} */
function checkLog(file: string): void {
  if (!existsSync(file)) return;
  const log = readFileSync(file);
  const lost = findLostCommits(log);
  log.buffer.transfer(0); // Its memory goes now: this thread makes too little for V8 to look at what it holds.
  if (lost !== undefined) throw damaged(lost);
}

function formatOf(directory: string): number {
  using database = new DatabaseSync(databaseFile(directory), { readOnly: true });

  return Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
}

function setUp(database: DatabaseSync): void {
  database.exec(`PRAGMA page_size=${pageBytes}; ${incrementalVacuum}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
    PRAGMA wal_autocheckpoint=${checkpointPages}; PRAGMA cell_size_check=ON;`);
}

/**
 * The connection that writes; each of its commits is to be made durable by a `LogSync` before the next begins. The log has its length,
 * on the disk, before the mark says that it is needed.
 */
export function openForWriting({
  directory,
  sizeBytesMax,
  erasesDeleted = false,
}: DiskOptions): DatabaseSync {
  lengthenLog(logFile(directory));
  syncDirectorySync(directory);
  const database = new DatabaseSync(databaseFile(directory));
  setUp(database);
  if (formatOf(directory) === formatWithoutVersions) addVersions(database);
  rebuild(database);
  if (erasesDeleted) database.exec('PRAGMA secure_delete=ON');
  if (sizeBytesMax > 0) {
    database.exec(`PRAGMA max_page_count=${Math.max(16, Math.floor(sizeBytesMax / pageBytes))}`);
  }
  database.exec('PRAGMA synchronous=NORMAL');
  return database;
}

const zeros = new Uint8Array(65_536);

/**
 * Gives the write-ahead log its full length before SQLite opens it: a commit over blocks that the file has is durable in half
 * the time of one that makes it longer, for that changes the file system's own records, too. SQLite reads a log up to the
 * first frame that is not valid, as zeros are not, and starts again at its beginning after a checkpoint.
 */
function lengthenLog(file: string): void {
  const descriptor = openSync(file, 'a', 0o600);
  try {
    const missing = logBytesMin - fstatSync(descriptor).size;
    // A piece at a time: what is allocated at once stays with this thread, which never makes enough for V8 to look.
    for (let left = missing; left > 0;) left -= writeSync(descriptor, zeros, 0, Math.min(left, zeros.length));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function findFiles({ directory, markFile, mustExist }: DiskOptions): StoreFiles {
  const sizeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.size;
  return {
    mark: readMark(markFile),
    databaseBytes: sizeOf(databaseFile(directory)),
    logBytes: sizeOf(logFile(directory)),
    mustExist,
    markName: basename(markFile),
  };
}

/**
 * One process per directory. The lock is SQLite's own file lock on a second, empty database, so that the kernel drops it with
 * the process and store.db itself stays readable by `sqlite3` meanwhile.
 */
export function takeLock(directory: string): DatabaseSync {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'lock.db');
  const holderFile = join(directory, 'lock.pid');
  let lock: DatabaseSync;
  try {
    lock = lockDatabase(file);
  } catch (error) {
    if (sqliteCode(error) === 5)
      throw new PodwrightError('E_BUSY', `process ${readHolder(holderFile)} has it open`);
    if (sqliteCode(error) !== 26 && sqliteCode(error) !== 11) throw error;
    truncateSync(file); // It holds nothing, so whatever is in it is damage; who has it locked keeps it locked.
    lock = lockDatabase(file);
  }
  removeDrafts(directory);
  const descriptor = openSync(holderFile, 'w', 0o600);
  writeSync(descriptor, String(process.pid));
  closeSync(descriptor);
  return lock;
}

function lockDatabase(file: string): DatabaseSync {
  const lock = new DatabaseSync(file);
  try {
    lock.exec('PRAGMA busy_timeout=0; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

function readHolder(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '(unknown)'; // The holder has not written its id yet.
  }
}

/** The primary result code of sqlite (https://www.sqlite.org/rescode.html), or undefined. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : undefined;
}

/** SQLITE_IOERR_SHORT_READ: not the disk failed, the file is shorter than it says. */
function isShortRead(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 522;
}

/** Which failure it is; `isReading`: of a file that nobody else writes, where an error of SQLite's parser is damage, too. */
export function classify(
  error: unknown,
  isReading = false,
): { readonly code: DiskFailure; readonly message: string } {
  const message = error instanceof Error ? error.message : String(error);
  if (isPodwrightError(error, 'E_BUSY')) return { code: 'E_BUSY', message };
  if (isPodwrightError(error, 'E_DAMAGED')) return { code: 'E_DAMAGED', message };
  const errno = errnoOf(error);
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return { code: 'E_NO_SPACE', message };
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') return { code: 'E_PERMISSION', message };
  if (isReading && isShortRead(error)) return { code: 'E_DAMAGED', message: 'store.db ends within a page' };
  switch (sqliteCode(error)) {
    case 5: // SQLITE_BUSY
      return { code: 'E_BUSY', message };
    case 13: // SQLITE_FULL
      return { code: 'E_NO_SPACE', message };
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
      return { code: 'E_PERMISSION', message };
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return { code: 'E_DAMAGED', message: `store.db: ${message}` };
    case 1: // SQLITE_ERROR: "no such table" and the like
      return { code: isReading ? 'E_DAMAGED' : 'E_INTERNAL', message: `store.db: ${message}` };
    case undefined:
    default:
      return { code: 'E_INTERNAL', message };
  }
}
