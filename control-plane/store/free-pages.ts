import { DatabaseSync } from 'node:sqlite';
import type { LogSync } from '#control-plane/store/log/log-sync.ts';

/**
 * Pages that compaction left empty go back to the file system: what a step moves, and how many may stay for what is written next (the
 * more of these, or a tenth of all).
 */
export const stepPages = 256;
export const keptPages = 1024;
const keptShare = 0.1;

/** `PRAGMA auto_vacuum`: free pages can be given back some at a time. */
const incremental = 2;

/** Makes a new database one that can give pages back; before its first table. Of an older one see `rebuild`. */
export const incrementalVacuum: string = `PRAGMA auto_vacuum=${incremental}`;

/**
 * Writes a database of an earlier release anew, once, as one that can give pages back. Where the disk has no room for that it stays as
 * it is.
 */
export function rebuild(database: DatabaseSync): void {
  if (pragma(database, 'auto_vacuum') === incremental) return;
  try {
    database.exec(`${incrementalVacuum}; VACUUM; PRAGMA wal_checkpoint(FULL)`);
  } catch {
    return; // Nothing of it has happened: the next start tries again.
  }
}

/** Gives free pages back, some in each turn of the event loop, so that a write waits for one step at most. */
export class FreePages {
  readonly #database: DatabaseSync;
  readonly #log: Pick<LogSync, 'check' | 'sync'>;
  readonly #onError: (error: unknown) => void;
  #isGiving = false;
  #isClosed = false;

  constructor(
    { database, log }: { readonly database: DatabaseSync; readonly log: Pick<LogSync, 'check' | 'sync'> },
    onError: (error: unknown) => void,
  ) {
    this.#database = database;
    this.#log = log;
    this.#onError = onError;
  }

  /** Some may be free now. */
  look(): void {
    if (this.#isGiving || this.#isClosed || this.#excess() === 0) return;
    this.#isGiving = true;
    setImmediate(() => this.#step());
  }

  close(): void {
    this.#isClosed = true;
  }

  #step(): void {
    if (this.#isClosed) return;
    try {
      this.#log.check();
      this.#database.exec(`PRAGMA incremental_vacuum(${stepPages})`);
      this.#log.sync();
      if (this.#excess() > 0) {
        setImmediate(() => this.#step());
        return;
      }
      this.#isGiving = false;
      this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)'); // Only then the file becomes shorter.
    } catch (error) {
      this.#isGiving = false;
      this.#onError(error);
    }
  }

  /** How many more are free than may be. */
  #excess(): number {
    const free = pragma(this.#database, 'freelist_count');
    const kept = Math.max(keptPages, pragma(this.#database, 'page_count') * keptShare);
    return free > kept + stepPages ? free - kept : 0;
  }
}

function pragma(database: DatabaseSync, name: 'auto_vacuum' | 'freelist_count' | 'page_count'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}

/** Writes a store's file anew, without anything of what was deleted in it: neither there nor in its log. Nobody else has it open. */
export function vacuum(file: string): void {
  using database = new DatabaseSync(file);

  database.exec('PRAGMA secure_delete=ON; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
}
