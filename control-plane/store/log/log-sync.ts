import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { describeError, PodwrightError } from '#base/errors.ts';

/**
 * Makes SQLite's write-ahead log durable after each commit, in its stead (`synchronous=NORMAL`, by which it still does so around
 * checkpoints and when it begins the log anew). Node's SQLite knows fsync(2) only, which waits for the times of the file, too: a commit
 * of the file system's journal in every few (decision 0101).
 *
 * It fails once and for all: the kernel tells of pages that it could not write to whoever syncs next, takes them for written, and then
 * says that all is well (fsync(2), Linux 4.13 and later). What the commit held is not known then until the store is opened again.
 */
export class LogSync implements Disposable {
  readonly #descriptor: number;
  #failure: PodwrightError | undefined;

  /** @param path of the log, which SQLite has open: only then it keeps its place. @throws the kernel's errors */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'r+');
  }

  /** To be called before anything is written. @throws {E_INTERNAL} what `sync` found */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** @throws {E_INTERNAL} this time and from then on */
  sync(): void {
    this.check();
    try {
      fdatasyncSync(this.#descriptor);
    } catch (cause) {
      const message = `sync store.db-wal: ${describeError(cause)}; no write is taken until the server is started again`;
      this.#failure = new PodwrightError('E_INTERNAL', message, { cause });
      throw this.#failure;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
