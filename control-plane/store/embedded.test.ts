import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, type Clock, systemClock } from '#base/clock.ts';
import { grownQuietBytesMax, sweepIfGrown } from '#base/memory/sweep.ts';
import { toFoundRow } from './disk-tables.ts';
import { openEmbeddedStore, type EmbeddedStoreOptions } from './embedded.ts';
import { addToTotal, sumOfMark, sumOfRow } from './integrity.ts';
import { readMark, createMark } from './mark-file.ts';
import type { ServedStore } from './served-store.ts';
import { describeStore, put, textOf } from './store.conformance.ts';
import { createFakeStore } from './store.fake.ts';
import type { StoreEvent, StoreOp } from './store.ts';

const del = (key: string): StoreOp => ({ op: 'delete', key });

/** Makes of a store's tables those of format 2, whose sums do not know versions. */
function asBefore(): void {
  using database = new DatabaseSync(join(directory, 'store.db'));

  let total = Number(
    database.prepare("SELECT value FROM mark WHERE name = 'removedTotal'").get()?.['value'] ?? 0,
  );
  const update = database.prepare('UPDATE log SET sum = ?, total = ? WHERE row = ?');
  for (const { row, value } of database.prepare('SELECT * FROM log ORDER BY row').all().map(toFoundRow)) {
    const sum = sumOfRow({ ...row, version: 0 }, value);
    total = addToTotal(total, sum);
    update.run(sum, total, row.row);
  }
  database.exec('ALTER TABLE log DROP COLUMN version; PRAGMA user_version=2');
  database
    .prepare("UPDATE mark SET value = ?, sum = ? WHERE name = 'lastTotal'")
    .run(total, sumOfMark('lastTotal', total));
  const markFile = join(directory, 'store.mark');
  const mark = readMark(markFile);
  if (mark !== 'absent' && mark !== 'damaged') createMark(markFile, { ...mark, total });
}

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-store-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (options: Partial<EmbeddedStoreOptions> = {}): Promise<ServedStore> =>
  openEmbeddedStore({ directory, clock: systemClock, ...options });

describeStore('embedded engine', () => open());
describeStore('fake', async () => createFakeStore());

/** Small and repeatable random numbers (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe('openEmbeddedStore()', () => {
  it('tells without waiting what is durable, and no more', async () => {
    await using engine = await open();

    const told = (): unknown => [textOf(engine.peek?.('/b/k')), engine.isKnownEmpty?.('/b/')];
    expect(told()).toEqual([undefined, true]);
    const writing = engine.commit({ expect: [], ops: [put('/b/k', 'x')] });
    expect(told()).toEqual([undefined, false]);
    await writing;
    expect(told()).toEqual(['x@1', false]);
    expect(['/a/', '/b/k/', '/c/'].map((prefix) => engine.isKnownEmpty?.(prefix))).toEqual([
      true,
      true,
      true,
    ]);
    await engine.commit({ expect: [], ops: [del('/b/k')] });
    expect(engine.peek?.('/b/k')).toBeUndefined();
  });

  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

  it(`behaves as the model does under random work, reopened in between (SEED=${seed})`, async () => {
    const random = randomFrom(seed);
    const model = createFakeStore();
    let engine = await open();
    const seenByModel: StoreEvent[] = [];
    const seenByEngine: StoreEvent[] = [];
    model.watch('/k1', 0, (events) => seenByModel.push(...events));
    engine.watch('/k1', 0, (events) => seenByEngine.push(...events));
    const key = (): string => `/k${random(3)}/${random(8)}`;
    const randomOp = (): StoreOp => {
      return random(3) === 0 ? { op: 'delete', key: key() } : put(key(), String(random(1e6)));
    };
    for (let step = 0; step < 400; step++) {
      const ops = [
        ...new Map(Array.from({ length: 1 + random(3) }, randomOp).map((op) => [op.key, op])).values(),
      ];
      const expected = key();
      const present = await model.get(expected);
      const modRevision = random(5) === 0 ? random(50) : (present?.modRevision ?? 0);
      const txn = { expect: random(2) === 0 ? [{ key: expected, modRevision }] : [], ops };
      expect(await engine.commit(txn)).toEqual(await model.commit(txn));
      if (random(40) === 0) {
        const revision = model.compactRevision + random(model.revision - model.compactRevision + 1);
        await Promise.all([model.compact(revision), engine.compact(revision)]);
      }
      if (random(100) === 0) {
        await engine[Symbol.asyncDispose]();
        engine = await open();
        engine.watch('/k1', model.revision, (events) => seenByEngine.push(...events));
      }
      const revision = model.compactRevision + random(model.revision - model.compactRevision + 1);
      const options = { revision, limit: random(6), from: key() };
      expect(await engine.range(`/k${random(3)}`, options)).toBeDefined();
      expect(await engine.range('/k', options)).toEqual(await model.range('/k', options));
      expect(engine.revision).toBe(model.revision);
      expect(engine.compactRevision).toBe(model.compactRevision);
    }
    expect(seenByEngine).toEqual(seenByModel);
    await engine[Symbol.asyncDispose]();
  });

  it('remembers a compaction that had nothing to remove', async () => {
    const store = await open();
    await store.commit({ expect: [], ops: [{ op: 'put', key: '/k', value: new Uint8Array(1) }] });
    await store.compact(1);
    await store[Symbol.asyncDispose]();
    const again = await open();
    expect(again.compactRevision).toBe(1);
    await again[Symbol.asyncDispose]();
  });

  it('tells a watch from the compacted revision itself, a deletion too, also after a new start', async () => {
    const first = await open();
    for (const ops of [[put('/a', '1')], [put('/a', '2'), put('/b', '2')], [del('/a'), put('/b', '3')]])
      await first.commit({ expect: [], ops });
    await first.compact(3);
    await first[Symbol.asyncDispose]();
    for (let life = 0; life < 2; life++) {
      await using store = await open();
      const seen: string[] = [];
      using _watch = store.watchFrom({
        prefix: '/',
        revision: 3 + life,
        onEvents: (events) =>
          seen.push(
            ...events.map(
              ({ type, key, current, previous }) =>
                `${current.modRevision} ${type} ${key} ${previous === undefined}`,
            ),
          ),
        onEnd: () => {},
      });

      const { revision } = await store.commit({ expect: [], ops: [put(`/c${life}`, 'x')] });
      const want = life === 0 ? ['3 delete /a true', '3 put /b true'] : [`4 put /c0 true`];
      await expect.poll(() => seen).toEqual([...want, `${revision} put /c${life} true`]);
      expect(() => store.watch('/', 2, () => {})).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }));
      expect(await store.get('/a')).toBeUndefined();
      expect(await store.get('/b')).toMatchObject({ version: 2 });
      await store.compact(revision);
    }
  });

  it('keeps leases that are renewed, in order with what ends them', async () => {
    const clock = createFakeClock();
    let store = await open({ clock });
    const lease = await store.grantLease(60, 4711);
    await expect(store.grantLease(60, 4711)).rejects.toMatchObject({ code: 'E_EXISTS' });
    clock.advance(50_000);
    expect(await store.renewLease(lease)).toBe(60);
    await Promise.all([store.renewLease(lease), store.revokeLease(lease), store.grantLease(30, lease)]);
    await store[Symbol.asyncDispose]();
    store = await open({ clock });
    expect(store.leases()).toMatchObject([{ id: 4711, ttlSeconds: 30 }]);
    expect(await store.renewLease(1)).toBeUndefined();
    await store[Symbol.asyncDispose]();
  });

  it('takes over a store of the release that did not count puts', async () => {
    let store = await open();
    for (const text of ['1', '2', '3']) await store.commit({ expect: [], ops: [put('/a', text)] });
    await store.commit({ expect: [], ops: [put('/b', '1')] });
    await store.compact(2);
    await store[Symbol.asyncDispose]();
    asBefore();
    for (const version of [3, 4]) {
      store = await open();
      expect(await store.get('/a')).toMatchObject({ version });
      expect(await store.get('/b')).toMatchObject({ version: 1 });
      await store.commit({ expect: [], ops: [put('/a', String(version))] });
      await store[Symbol.asyncDispose]();
    }
  });

  it('counts what remains of a range without what was deleted or is not durable yet', async () => {
    const store = await open();
    const put = (name: string): ReturnType<typeof store.commit> =>
      store.commit({ expect: [], ops: [{ op: 'put', key: `/k/${name}`, value: new Uint8Array(1) }] });
    for (const name of ['a', 'b', 'c', 'd', 'e']) await put(name);
    await store.commit({ expect: [], ops: [{ op: 'delete', key: '/k/d' }] });
    const unsettled = [put('f'), put('c')];
    const range = await store.range('/k/', { limit: 1 });
    expect(range).toMatchObject({ more: true, remaining: 3 });
    await Promise.all(unsettled);
    expect(await store.range('/k/', { limit: 1 })).toMatchObject({ more: true, remaining: 4 });
    await store[Symbol.asyncDispose]();
  });

  it('replays a long past to a watcher that starts while others write', async () => {
    const store = await open();
    const text = 'x'.repeat(100);
    for (let start = 0; start < 3000; start += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          store.commit({ expect: [], ops: [put(`/a/${start + index}`, text)] }),
        ),
      );
    }
    const revisions: number[] = [];
    store.watch('/a/', 100, (events) => revisions.push(...events.map(({ current }) => current.modRevision)));
    for (let index = 0; index < 50; index++)
      await store.commit({ expect: [], ops: [put(`/a/b${index}`, text)] });
    await expect.poll(() => revisions.length).toBe(2950);
    expect(revisions).toEqual(Array.from({ length: 2950 }, (_, index) => 101 + index));
    await store[Symbol.asyncDispose]();
  });

  it('tells a revision of the past whole, however many keys it is of', async () => {
    const store = await open();
    for (let at = 0; at < 900; at++) void store.commit({ expect: [], ops: [put(`/a/${at}`, 'x')] });
    const many = Array.from({ length: 1500 }, (_, at) => put(`/b/${at}`, 'x'));
    await store.commit({ expect: [], ops: many });
    await store.commit({ expect: [], ops: many });
    const batches: number[][] = [];
    store.watch('/', 0, (events) => batches.push(events.map(({ current }) => current.modRevision)));
    await expect.poll(() => batches.flat().length).toBe(3900);
    expect(batches.map((batch) => [batch.at(0), batch.at(-1), batch.length])).toEqual([
      [1, 901, 2400],
      [902, 902, 1500],
    ]);
    await store[Symbol.asyncDispose]();
  });

  it('refuses a directory that is open, in one line, and opens it once it is free', async () => {
    const store = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'E_BUSY',
      message: `open store ${directory}: process ${process.pid} has it open`,
    });
    await store[Symbol.asyncDispose]();
    await (await open())[Symbol.asyncDispose]();
  });

  it('refuses writes when there is no space, goes on reading, and writes again when there is', async () => {
    const store = await open({ sizeBytesMax: 1_000_000 });
    await store.commit({ expect: [], ops: [put('/a', 'x')] });
    const big = Array.from({ length: 40 }, (_, index) => put(`/big/${index}`, 'y'.repeat(50_000)));
    await expect(store.commit({ expect: [], ops: big })).rejects.toMatchObject({
      code: 'E_NO_SPACE',
      message: `write to store ${directory}: database or disk is full; free some space on its disk`,
    });
    expect(store.revision).toBe(1);
    expect((await store.range('/')).values.map(textOf)).toEqual(['x@1']);
    expect(await store.commit({ expect: [], ops: [put('/b', 'z')] })).toMatchObject({
      ok: true,
      revision: 2,
    });
    // Whoever decided on what did not come to be is told so, not what was decided.
    const decisions = [
      store.commit({ expect: [], ops: big }),
      store.update('/big/0', (current) => ({ ops: [put('/big/0', `after ${current?.modRevision}`)] })),
      store.update('/big/0', () => undefined),
      store.update('/big/0', () => {
        throw new RangeError('decided');
      }),
    ];
    for (const decision of decisions) await expect(decision).rejects.toMatchObject({ code: 'E_NO_SPACE' });
    expect(store.revision).toBe(2);
    await store[Symbol.asyncDispose]();
    const reopened = await open();
    expect((await reopened.range('/')).values.map(textOf)).toEqual(['x@1', 'z@2']);
    await reopened[Symbol.asyncDispose]();
  });

  it('ends leases when their time comes, also those of an earlier life', async () => {
    const clock = createFakeClock(1_000_000);
    const first = await open({ clock });
    const lease = await first.grantLease(60);
    await first.commit({ expect: [], ops: [put('/e', 'x', lease)] });
    await first[Symbol.asyncDispose]();
    const store = await open({ clock });
    const seen: string[] = [];
    store.watch('/', store.revision, (events) =>
      seen.push(...events.map(({ type, key }) => `${type} ${key}`)),
    );
    clock.advance(50_000);
    expect(await store.get('/e')).toBeDefined();
    clock.advance(20_000);
    await expect.poll(() => seen).toEqual(['delete /e']);
    await store[Symbol.asyncDispose]();
  });

  it('ends no lease and cuts no history because somebody sets the clock', async () => {
    const clock = createFakeClock(1_000_000);
    let wrongMs = 0;
    const set: Clock = { ...clock, now: () => clock.now() + wrongMs };
    const store = await open({ clock: set, historyMs: 60_000 });
    const lease = await store.grantLease(60);
    await store.commit({ expect: [], ops: [put('/e', 'x', lease)] });
    for (const ms of [3_600_000, -3_600_000]) {
      wrongMs = ms;
      clock.advance(10_000);
      await store.expireLeases();
      expect(store.lease(lease)).toMatchObject({ ttlSeconds: 60, leftMs: ms > 0 ? 50_000 : 40_000 });
      expect(store.compactRevision).toBe(0);
    }
    clock.advance(60_000);
    await expect.poll(() => store.lease(lease)).toBeUndefined();
    await store[Symbol.asyncDispose]();
  });

  it('has the memory swept of what a compaction lets go of', async () => {
    await using store = await open();
    const keys = Array.from({ length: 40 }, (_, index) => `/k${index}`);
    const value = 'x'.repeat(1_048_576);
    await store.commit({ expect: [], ops: keys.map((key) => put(key, value)) });
    await store.commit({ expect: [], ops: keys.map(del) });
    sweepIfGrown(0);
    expect(sweepIfGrown(grownQuietBytesMax)).toBe(false);
    await store.compact(store.revision);
    expect(sweepIfGrown(grownQuietBytesMax)).toBe(true);
  });

  it('compacts by itself what is older than the history it keeps', async () => {
    const clock = createFakeClock();
    const store = await open({ clock, historyMs: 60_000 });
    for (const text of ['1', '2', '3']) await store.commit({ expect: [], ops: [put('/a', text)] });
    clock.advance(40_000);
    expect(store.compactRevision).toBe(0);
    clock.advance(40_000);
    await expect.poll(() => store.compactRevision).toBe(3);
    expect(textOf(await store.get('/a'))).toBe('3@3');
    await store[Symbol.asyncDispose]();
  });

  it('keeps much history for as long only as upstream keeps that of a busy kind', async () => {
    const clock = createFakeClock();
    const store = await open({ clock, freshMs: 30_000, quietBytesMax: 2000 });
    const write = async (text: string): Promise<unknown> =>
      store.commit({ expect: [], ops: [put('/a', text)] });
    for (const text of ['1', '2', '3']) await write(text);
    clock.advance(40_000);
    expect(store.compactRevision).toBe(0);
    for (const text of ['4', '5', '6']) await write(text.repeat(1000));
    clock.advance(10_000);
    await expect.poll(() => store.compactRevision).toBe(3);
    clock.advance(40_000);
    await expect.poll(() => store.compactRevision).toBe(6);
    await store[Symbol.asyncDispose]();
  });

  it.each([
    ['events', { historyEventsMax: 30 }],
    ['bytes', { historyBytesMax: 100 }],
  ])(
    'compacts by itself the older half of more %s than it may keep, whatever their age',
    async (_what, max) => {
      const clock = createFakeClock();
      const store = await open({ clock, historyMs: 1e9, ...max });
      for (let i = 1; i <= 40; i++) await store.commit({ expect: [], ops: [put('/a', `${i}@${i}`)] });
      clock.advance(40_000);
      await expect.poll(() => store.compactRevision).toBe(20);
      await store[Symbol.asyncDispose]();
    },
  );

  it('forgets the older half of twice as many bytes at once, before any housekeeping', async () => {
    const store = await open({ clock: createFakeClock(), historyMs: 1e9, historyBytesMax: 10_000 });
    for (let i = 1; i <= 40; i++) await store.commit({ expect: [], ops: [put('/a', 'x'.repeat(1000))] });
    await expect.poll(() => store.compactRevision).toBeGreaterThan(20);
    await store[Symbol.asyncDispose]();
  });

  it.each([
    ['an error that nobody caught', `throw new Error('planted')`],
    ['exit(3)', 'process.exit(3)'],
  ])('is whole after a process that ended by %s', async (_how, end) => {
    const program = `
      import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
      import { systemClock } from '#base/clock.ts';
      const store = await openEmbeddedStore({ directory: process.argv[1], clock: systemClock });
      await store.commit({ expect: [], ops: [{ op: 'put', key: '/a', value: Buffer.from('done') }] });
      void store.commit({ expect: [], ops: [{ op: 'put', key: '/b', value: Buffer.from('under way') }] });
      setImmediate(() => { ${end} });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
      cwd: join(import.meta.dirname, '../..'),
      stdio: 'ignore',
    });
    const [code] = await once(child, 'exit');
    expect(code).toBeGreaterThan(0);
    await using store = await open();

    expect(textOf(await store.get('/a'))).toBe('done@1');
  });

  it('is whole after its thread ended by an error that nobody caught', async () => {
    await (await open())[Symbol.asyncDispose]();
    const thread = new Worker(new URL('./disk.worker.ts', import.meta.url), {
      workerData: { directory, sizeBytesMax: 0, markFile: join(directory, 'store.mark'), mustExist: true },
      execArgv: [],
    });
    await once(thread, 'message');
    const failed = once(thread, 'error');
    thread.postMessage({ kind: 'planted' }, []);
    await failed;
    await (await open())[Symbol.asyncDispose]();
  });

  it('has every acknowledged write after kill -9 in the middle of writes', async () => {
    const program = `
      import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
      import { systemClock } from '#base/clock.ts';
      const store = await openEmbeddedStore({ directory: process.argv[1], clock: systemClock });
      let next = 0;
      const writer = async () => {
        for (;;) {
          const id = next++;
          await store.commit({ expect: [], ops: [{ op: 'put', key: '/w/' + id, value: Buffer.alloc(700, 'v') }] });
          process.stdout.write(id + '\\n');
        }
      };
      for (let index = 0; index < 16; index++) void writer();`;
    const root = join(import.meta.dirname, '../..');
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, directory], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const acknowledged: number[] = [];
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      acknowledged.push(Number(line));
      if (acknowledged.length === 500) child.kill('SIGKILL');
    });
    await Promise.all([once(child, 'exit'), once(lines, 'close')]);
    const store = await open();
    const found = new Set((await store.range('/w/')).values.map(({ key }) => Number(key.slice(3))));
    expect(acknowledged.length).toBeGreaterThanOrEqual(500);
    expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
    await store[Symbol.asyncDispose]();
  });
});
