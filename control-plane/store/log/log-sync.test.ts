import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { DiskThread } from '#control-plane/store/disk-thread.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { FreePages, incrementalVacuum } from '#control-plane/store/free-pages.ts';
import { put } from '#control-plane/store/store.conformance.ts';
import type { Store } from '#control-plane/store/store.ts';

const scratch = scratchDirectory('log-sync');

/** On a disk that does not sync while there is a file `fails`. */
const openFailing = (directory: string): Promise<Store> =>
  openEmbeddedStore({
    directory,
    clock: createFakeClock(1000),
    openDisk: (workerData): DiskThread =>
      new Worker(new URL('./failing-sync.fixture.ts', import.meta.url), { workerData, execArgv: [] }),
  });

const keysOf = async (store: Store): Promise<readonly string[]> =>
  (await store.range('/')).values.map(({ key }) => key);

describe('a log that cannot be synced', () => {
  it('has taken nothing, and takes nothing any more, until the store is opened again', async () => {
    const directory = join(scratch, 'store');
    {
      await using store = await openFailing(directory);

      await store.commit({ expect: [], ops: [put('/a', '1')] });
      writeFileSync(join(directory, 'fails'), '');
      const write = (key: string): Promise<unknown> => store.commit({ expect: [], ops: [put(key, '1')] });
      await expect(write('/b')).rejects.toThrow(
        /write to store .*: sync store.db-wal: EIO.*; no write is taken until/,
      );
      rmSync(join(directory, 'fails'));
      await expect(write('/c')).rejects.toThrow(/sync store.db-wal/);
      await expect(store.grantLease(10)).rejects.toThrow(/sync store.db-wal/);
      expect(store.failure).toMatchObject({ code: 'E_INTERNAL' });
      expect(await keysOf(store)).toEqual(['/a']);
    }
    await using store = await openEmbeddedStore({ directory, clock: createFakeClock(1000) });

    // What could not be synced may be there, as after a power cut; what was refused later is not.
    expect((await keysOf(store)).filter((key) => key !== '/b')).toEqual(['/a']);
    await store.commit({ expect: [], ops: [put('/d', '1')] });
    expect(store.failure).toBeUndefined();
  });
});

describe('FreePages', () => {
  /** A database with many free pages. */
  const openEmptied = (): DatabaseSync => {
    const database = new DatabaseSync(':memory:');
    database.exec(`${incrementalVacuum}; CREATE TABLE t (value BLOB)`);
    const insert = database.prepare('INSERT INTO t VALUES (zeroblob(400000))');
    for (let index = 0; index < 30; index++) insert.run();
    database.exec('DELETE FROM t');
    return database;
  };

  it('syncs each step before the next begins', async () => {
    using database = openEmptied();
    const calls: string[] = [];
    const log = { check: () => void calls.push('check'), sync: () => void calls.push('sync') };
    new FreePages({ database, log }, (error) => calls.push(String(error))).look();
    await expect.poll(() => calls.length).toBeGreaterThan(4);
    const done = calls.length;
    expect(calls).toEqual(Array.from({ length: done }, (_, at) => (at % 2 === 0 ? 'check' : 'sync')));
  });

  it('moves nothing where the log takes nothing any more', async () => {
    using database = openEmptied();
    const pagesOf = (): unknown => database.prepare('PRAGMA page_count').get();
    const before = pagesOf();
    const errors: unknown[] = [];
    const check = (): void => {
      throw new RangeError('no');
    };
    new FreePages({ database, log: { check, sync: () => undefined } }, (error) => errors.push(error)).look();
    await expect.poll(() => errors.length).toBe(1);
    expect(pagesOf()).toEqual(before);
  });
});
