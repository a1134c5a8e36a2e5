import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { copyStore, makeStores, openStoreIn, readAll, type StoreCopies } from './damaged-store.fixture.ts';
import { classify, planOpen, type StoreFiles } from './disk-open.ts';
import { openEmbeddedStore } from './embedded.ts';
import { salvageStore } from './salvage.ts';
import { put } from './store.conformance.ts';

let root = '';
let copies: StoreCopies;
const scratch = (): string => join(root, 'scratch');

beforeAll(async () => {
  root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'podwright-damage-'));
  let state = 1;
  copies = await makeStores(root, (below) => (state = (state * 48_271) % 2_147_483_647) % below);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  for (const path of [scratch(), `${scratch()}.mark`]) rmSync(path, { recursive: true, force: true });
});

/** Flips one bit in the middle of the first place that holds the text. */
function flipIn(path: string, text: string): void {
  const bytes = readFileSync(path);
  const at = bytes.indexOf(text);
  expect(at).toBeGreaterThan(0);
  bytes[at + text.length - 1] = (bytes[at + text.length - 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

const rows: readonly {
  readonly name: string;
  readonly from: 'killed' | 'closed';
  readonly damage: (at: string) => void;
  readonly says: RegExp;
}[] = [
  {
    name: 'a flipped bit of a value',
    from: 'closed',
    damage: (at) => flipIn(`${at}/store.db`, 'a needle in'),
    says: /is not as it was written/,
  },
  {
    name: 'a flipped bit of the newest log',
    from: 'killed',
    damage: (at) => flipIn(`${at}/store.db-wal`, 'the last'),
    says: /had been written: store.db-wal was cut/,
  },
  {
    name: 'a flipped bit of the log, beside the mark of an earlier time',
    from: 'killed',
    damage: (at) => {
      flipIn(`${at}/store.db-wal`, '200 abcdefgh');
      cpSync(`${copies.killedEarlier}.mark`, `${at}.mark`);
    },
    says: /frame \d+ of store.db-wal is not as it was written, and commits follow it/,
  },
  {
    name: 'a flipped bit of the header of the log, beside the mark of an earlier time',
    from: 'killed',
    damage: (at) => {
      const bytes = readFileSync(`${at}/store.db-wal`);
      bytes[20] = (bytes[20] ?? 0) ^ 4;
      writeFileSync(`${at}/store.db-wal`, bytes);
      cpSync(`${copies.killedEarlier}.mark`, `${at}.mark`);
    },
    says: /the header of store.db-wal is not as it was written/,
  },
  {
    name: 'a store.db of 0 bytes',
    from: 'closed',
    damage: (at) => truncateSync(`${at}/store.db`),
    says: /store.db is empty, and had come to revision/,
  },
  {
    name: 'no store.db',
    from: 'closed',
    damage: (at) => rmSync(`${at}/store.db`),
    says: /store.db is missing, and had come to revision/,
  },
  {
    name: 'no store directory',
    from: 'closed',
    damage: (at) => rmSync(at, { recursive: true }),
    says: /store.db is missing, and had come to revision/,
  },
  {
    name: 'a cut store.db',
    from: 'closed',
    damage: (at) => truncateSync(`${at}/store.db`, 20_000),
    says: /store.db|malformed|page/,
  },
  {
    name: 'no store.db-wal',
    from: 'killed',
    damage: (at) => rmSync(`${at}/store.db-wal`),
    says: /store.db-wal, which holds the newest writes, is missing/,
  },
  {
    name: 'a cut store.db-wal',
    from: 'killed',
    damage: (at) => truncateSync(`${at}/store.db-wal`, 50_000),
    says: /store.db-wal, which holds the newest writes, is cut/,
  },
  {
    name: 'a zeroed store.db-wal',
    from: 'killed',
    damage: (at) => writeFileSync(`${at}/store.db-wal`, new Uint8Array(9_000_000)),
    says: /store.db|had been written/,
  },
  {
    name: 'no mark',
    from: 'closed',
    damage: (at) => rmSync(`${at}.mark`),
    says: /scratch.mark, which says how far it had come, is missing/,
  },
  {
    name: 'a damaged mark',
    from: 'closed',
    damage: (at) => writeFileSync(`${at}.mark`, 'x'),
    says: /scratch.mark is damaged/,
  },
  {
    name: "another cluster's store.db",
    from: 'closed',
    damage: (at) => cpSync(`${copies.other}/store.db`, `${at}/store.db`),
    says: /store.db is of cluster .*, scratch.mark of cluster/,
  },
  {
    name: "yesterday's store.db",
    from: 'closed',
    damage: (at) => cpSync(`${copies.closedEarlier}/store.db`, `${at}/store.db`),
    says: /it ends at revision \d+, and revisions .* had been written/,
  },
  {
    name: 'rows removed by hand',
    from: 'closed',
    damage: (at) => edit(at, 'DELETE FROM log WHERE row = (SELECT max(row) - 3 FROM log)'),
    says: /do not add up/,
  },
  {
    name: 'a value changed by hand',
    from: 'closed',
    damage: (at) => edit(at, "UPDATE log SET value = 'x' WHERE row = (SELECT max(row) FROM log)"),
    says: /E_DAMAGED|not as it was written|datatype/,
  },
  {
    name: 'leases removed by hand',
    from: 'closed',
    damage: (at) => edit(at, 'DELETE FROM lease'),
    says: /leases do not add up/,
  },
  {
    name: 'a table dropped by hand',
    from: 'closed',
    damage: (at) => edit(at, 'DROP TABLE lease'),
    says: /no such table: lease/,
  },
];

function edit(at: string, sql: string): void {
  using database = new DatabaseSync(`${at}/store.db`);

  database.exec(sql.replace("'x'", "x'00'"));
}

describe('a store with damage is refused, with what and what to do, and is left as it is', () => {
  it.each(rows)('$name', async ({ from, damage, says }) => {
    copyStore(copies[from], scratch());
    damage(scratch());
    await expect(openStoreIn(scratch())).rejects.toMatchObject({
      code: 'E_DAMAGED',
      message: expect.stringMatching(says),
    });
    // Again: the first try has neither repaired nor forgotten it.
    await expect(openStoreIn(scratch())).rejects.toThrow(/podwright store salvage --data/);
  });

  it.each(['killed', 'closed'] as const)('and one without is opened (%s)', async (from) => {
    copyStore(copies[from], scratch());
    await using store = await openStoreIn(scratch());
    expect(store.revision).toBe(copies.revision);
    expect(await readAll(store)).toEqual(copies.acknowledged);
  });

  it('a directory that had a store and has none is not a new one', async () => {
    const options = { directory: scratch(), clock: createFakeClock(), mustExist: true };
    await expect(openEmbeddedStore(options)).rejects.toThrow(
      /store.db is missing, and this directory had a store/,
    );
  });
});

describe('salvageStore()', () => {
  it.each(rows)(
    'of $name: all whole objects are kept, and the revision goes on',
    async ({ from, damage }) => {
      copyStore(copies[from], scratch());
      damage(scratch());
      const result = salvageStore(scratch(), `${scratch()}.mark`, 1000);
      {
        await using store = await openStoreIn(scratch());
        expect(store.revision).toBe(result.revision);
        expect(() => store.watch('/', copies.revision, () => undefined)).toThrow(/compacted/);
        const found = await readAll(store);
        expect(found.size).toBe(result.kept);
        // Of today or, where the newest writes are lost, of an earlier day: but always as somebody wrote it.
        for (const [key, text] of found) expect(text, key).toMatch(/^(.*)@(\d+)@\2$/);
        await store.commit({ expect: [], ops: [put('/new', 'later')] });
      }
      await using again = await openStoreIn(scratch());
      expect(again.revision).toBe(result.revision + 1);
      for (const number of [1, 2]) rmSync(`${scratch()}.damaged-${number}`, { recursive: true, force: true });
    },
  );

  it('of a store with one flipped value loses that value only', async () => {
    copyStore(copies.closed, scratch());
    flipIn(`${scratch()}/store.db`, 'a needle in');
    expect(salvageStore(scratch(), `${scratch()}.mark`, 1000)).toMatchObject({
      refused: 1,
      isPartial: false,
    });
    await using store = await openStoreIn(scratch());
    const want = new Map(copies.acknowledged);
    want.delete('/needle');
    expect(await readAll(store)).toEqual(want);
    rmSync(`${scratch()}.damaged-1`, { recursive: true });
  });
});

const base: StoreFiles = {
  mark: 'absent',
  databaseBytes: undefined,
  logBytes: undefined,
  mustExist: false,
  markName: 'm',
};
const marked = { id: 'i', revision: 5, row: 5, total: 5 };
describe('planOpen()', () => {
  it.each([
    { name: 'nothing there', files: {}, want: 'create' },
    {
      name: 'cut off while it was made',
      files: { mark: { ...marked, state: 'new' }, databaseBytes: 0 },
      want: 'create',
    },
    { name: 'of an earlier release', files: { databaseBytes: 8192, mustExist: true }, want: 'adopt' },
    {
      name: 'cut off while it was adopted',
      files: { mark: { ...marked, state: 'adopting' }, databaseBytes: 8192 },
      want: 'adopt',
    },
    { name: 'adopted, then removed', files: { mark: { ...marked, state: 'adopting' } }, want: 'refuse' },
    {
      name: 'killed',
      files: { mark: { ...marked, state: 'open' }, databaseBytes: 8192, logBytes: 8_437_760 },
      want: 'read',
    },
    {
      name: 'cut off while it closed',
      files: { mark: { ...marked, state: 'closing' }, databaseBytes: 8192 },
      want: 'read',
    },
  ] as const)('$name: $want', ({ files, want }) => {
    expect(planOpen({ ...base, ...files }).kind).toBe(want);
  });
});

describe('a store of the release before', () => {
  const legacySchema = `
    PRAGMA page_size=4096; PRAGMA journal_mode=WAL;
    CREATE TABLE log (row INTEGER PRIMARY KEY, revision INTEGER NOT NULL, create_revision INTEGER NOT NULL,
      key TEXT NOT NULL, lease INTEGER NOT NULL, deleted INTEGER NOT NULL, value BLOB) STRICT;
    CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO log VALUES (3, 7, 7, '/a', 0, 0, x'61'), (4, 8, 8, '/b', 1, 0, x'62'), (9, 11, 7, '/a', 0, 0, x'63');
    INSERT INTO lease VALUES (1, 60, 99000);
    INSERT INTO mark VALUES ('compactRevision', 8), ('revision', 12);`;

  it('is taken over once, with all that it holds', async () => {
    mkdirSync(scratch());
    edit(scratch(), legacySchema);
    const notes: string[] = [];
    const logger = { ...silentLogger, info: (_fields: object, text: string) => void notes.push(text) };
    for (const expected of [1, 1]) {
      await using store = await openEmbeddedStore({ directory: scratch(), clock: createFakeClock(), logger });
      expect([store.revision, store.compactRevision]).toEqual([12 + notes.length - expected, 8]);
      expect(Object.fromEntries(await readAll(store))).toMatchObject({ '/a': 'c@11', '/b': 'b@8' });
      expect(notes).toHaveLength(expected);
    }
    flipIn(`${scratch()}/store.db`, '/a');
    await expect(openEmbeddedStore({ directory: scratch(), clock: createFakeClock() })).rejects.toMatchObject(
      { code: 'E_DAMAGED' },
    );
  });
});

describe('damage while it is open', () => {
  const cases: readonly (readonly [string, (at: string) => void, RegExp])[] = [
    ['store.db removed', (at) => rmSync(`${at}/store.db`), /store.db was removed or replaced/],
    ['store.db-wal removed', (at) => rmSync(`${at}/store.db-wal`), /store.db-wal was removed or replaced/],
    ['the mark removed', (at) => rmSync(`${at}.mark`), /scratch.mark was removed or replaced/],
    ['a value flipped', (at) => flipIn(`${at}/store.db`, 'a needle in'), /is not as it was written/],
  ];
  it.each(cases)('%s: writes are refused, reads go on, and it is said', async (_name, damage, says) => {
    copyStore(copies.closed, scratch());
    const clock = createFakeClock(1000);
    await using store = await openEmbeddedStore({
      directory: scratch(),
      markFile: `${scratch()}.mark`,
      clock,
      historyMs: 1e9,
    });
    clock.advance(10_000);
    await store.commit({ expect: [], ops: [put('/k/0', 'acknowledged')] });
    expect(store.failure).toBeUndefined();
    damage(scratch());
    for (let round = 0; round < 61; round++) clock.advance(10_000);
    await expect.poll(() => store.failure?.message).toMatch(says);
    expect(store.failure).toMatchObject({ code: 'E_DAMAGED' });
    await expect(store.commit({ expect: [], ops: [put('/k/1', 'x')] })).rejects.toMatchObject({
      code: 'E_DAMAGED',
    });
    expect((await readAll(store)).get('/k/0')).toMatch(/^acknowledged@/);
  });
});

it.each([
  { name: 'a file that ends within a page', errcode: 522, isReading: true, code: 'E_DAMAGED' },
  { name: 'the same of a file that is being written', errcode: 522, isReading: false, code: 'E_INTERNAL' },
  { name: 'a disk that fails', errcode: 266, isReading: true, code: 'E_INTERNAL' },
])('classify() tells $name as $code', ({ errcode, isReading, code }) => {
  const error = Object.assign(new Error('disk I/O error'), { errcode });
  expect(classify(error, isReading).code).toBe(code);
});
