import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { openEmbeddedStore } from './embedded.ts';
import { keptPages } from './free-pages.ts';
import { put } from './store.conformance.ts';
import type { Store } from './store.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-pages-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (): Promise<Store> => openEmbeddedStore({ directory, clock: createFakeClock(1000) });
const pages = (): number => statSync(join(directory, 'store.db')).size / 4096;
/** Each value takes some pages. */
const value = 'x'.repeat(16_000);
const count = 1000;

async function fill(store: Store): Promise<void> {
  for (let start = 0; start < count; start += 100) {
    const ops = Array.from({ length: 100 }, (_, at) => put(`/k/${start + at}`, value));
    await store.commit({ expect: [], ops });
  }
}

async function empty(store: Store): Promise<void> {
  const { values } = await store.range('/k/');
  await store.commit({ expect: [], ops: values.map(({ key }) => ({ op: 'delete', key })) });
  const { revision } = await store.commit({ expect: [], ops: [put('/last', 'x')] });
  await store.compact(revision);
}

describe('pages of what was deleted', () => {
  it('go back to the file system, but for some, and what is there stays', async () => {
    await using store = await open();

    await fill(store);
    await store.commit({ expect: [], ops: [put('/stays', value)] });
    await empty(store);
    await expect.poll(pages, { timeout: 60_000 }).toBeLessThan(keptPages + 600);
    expect((await store.range('/')).values.map(({ key }) => key)).toEqual(['/last', '/stays']);
  });

  it('do so in a store of an earlier release, too, which is written anew once', async () => {
    {
      await using store = await open();

      await fill(store);
    }
    {
      using database = new DatabaseSync(join(directory, 'store.db'));

      database.exec('PRAGMA auto_vacuum=0; VACUUM');
      expect(database.prepare('PRAGMA auto_vacuum').get()).toEqual({ auto_vacuum: 0 });
    }
    await using store = await open();

    expect((await store.range('/k/')).values).toHaveLength(count);
    await empty(store);
    await expect.poll(pages, { timeout: 60_000 }).toBeLessThan(keptPages + 600);
  });
});
