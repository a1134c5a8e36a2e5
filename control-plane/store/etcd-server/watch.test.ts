import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outgoing } from '#proto/contract.ts';
import type { Services, WatchCreateRequest } from '#proto/etcd/rpc.ts';
import { put } from '#control-plane/store/store.conformance.ts';
import type { StoreEvent, StoreOp } from '#control-plane/store/store.ts';
import { connectRaw, plain, type RawClient, type RawWatch } from './raw-client.fixture.ts';
import { streamsMax } from './serve.ts';
import { startServed, type Served } from './served.fixture.ts';
import { nestedOpsMax, txnOpsMax } from './txn-check.ts';
import { cutEvents, fragmentBytesMax, unreadBytesMax, watchesMax } from './watch.ts';

const patience = { timeout: 60_000 };
const bytes = (text: string): Buffer => Buffer.from(text);

let directory: string;
let served: Served;
let client: RawClient;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-watch-'));
  served = await startServed(directory);
  client = await connectRaw(served.url, served.admin);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await served[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const write = async (...ops: StoreOp[]): Promise<number> =>
  (await served.store.commit({ expect: [], ops })).revision;
const create = (watch: RawWatch, request: Outgoing<WatchCreateRequest>): void =>
  void watch.stream.write({ create_request: request });
const told = (watch: RawWatch): readonly string[] =>
  watch.responses.flatMap(
    ({ watch_id, created, canceled, compact_revision, cancel_reason, events, header }) => [
      ...(created ? [`${watch_id} created${cancel_reason && `: ${cancel_reason}`}`] : []),
      ...(canceled && !created ? [`${watch_id} canceled ${compact_revision}`] : []),
      ...events.map(({ type, kv }) => `${watch_id} ${type} ${bytes('').toString()}${String(kv?.key)}`),
      ...(!created && !canceled && events.length === 0 ? [`${watch_id} progress ${header?.revision}`] : []),
    ],
  );

describe('Watch', () => {
  it('has several watches on a stream, with filters and previous values, and ends each alone', async () => {
    using watch = client.watch();

    create(watch, { key: bytes('m/'), range_end: bytes('m0'), prev_kv: true });
    create(watch, { key: bytes('m/a'), filters: ['NOPUT'], watch_id: 7 });
    create(watch, { key: bytes('m/a'), watch_id: 7 });
    create(watch, { key: bytes('m/b'), range_end: bytes('m/a') });
    await expect
      .poll(() => told(watch))
      .toEqual([
        '0 created',
        '7 created',
        '-1 created: mvcc: duplicate watch ID provided on the WatchStream',
        '-1 created: mvcc: watcher range is empty',
      ]);
    await write(put('m/a', '1'), put('m/b', '1'));
    watch.stream.write({ cancel_request: { watch_id: 0 } });
    watch.stream.write({ cancel_request: { watch_id: 99 } });
    await expect.poll(() => told(watch).slice(4)).toEqual(['0 PUT m/a', '0 PUT m/b', '0 canceled 0']);
    await write({ op: 'delete', key: 'm/a' });
    await expect.poll(() => told(watch).slice(7)).toEqual(['7 DELETE m/a']);
    const gone = watch.responses.at(-1)?.events[0];
    expect(plain(gone?.kv)).toEqual({
      ...{ key: 'm/a', create_revision: 0, mod_revision: served.store.revision },
      ...{ version: 0, value: '', lease: 0 },
    });
  });

  it('answers a question for progress behind all events, once every watch is told them', async () => {
    const first = served.store.revision + 1;
    for (let at = 0; at < 1500; at++) void write(put(`p/${at}`, 'x'));
    await served.store.update('p/last', () => ({ ops: [put('p/last', 'x')] }));
    using watch = client.watch();

    create(watch, { key: bytes('p/'), range_end: bytes('p0'), start_revision: first });
    watch.stream.write({ progress_request: {} });
    watch.stream.write({ progress_request: {} });
    await expect.poll(() => told(watch).at(-1), patience).toBe(`-1 progress ${served.store.revision}`);
    expect(told(watch).filter((line) => line.includes('PUT'))).toHaveLength(1501);
  });

  it('begins at the compacted revision itself, and not before', async () => {
    await write(put('c/a', '1'));
    await write(put('c/a', '2'), put('c/b', '1'));
    const at = await write({ op: 'delete', key: 'c/a' }, put('c/b', '2'));
    await served.store.compact(at);
    using watch = client.watch();

    const range = { key: bytes('c/'), range_end: bytes('c0'), prev_kv: true };
    create(watch, { ...range, start_revision: at });
    create(watch, { ...range, start_revision: at - 1 });
    await expect
      .poll(() => told(watch).toSorted())
      .toEqual(['0 DELETE c/a', '0 PUT c/b', '0 created', `1 canceled ${at}`, '1 created']);
    const events = watch.responses.flatMap((response) => response.events);
    expect(events.map(({ prev_kv }) => prev_kv)).toEqual([null, null]);
  });

  it('keeps the events of a revision together, or says that more follow to who asks for fragments', async () => {
    using whole = client.watch();
    using cut = client.watch();

    for (const [watch, fragment] of [
      [whole, false],
      [cut, true],
    ] as const)
      create(watch, { key: bytes('f/'), range_end: bytes('f0'), fragment });
    await expect.poll(() => whole.responses.length + cut.responses.length).toBe(2);
    await write(...Array.from({ length: 5 }, (_, at) => put(`f/${at}`, 'x'.repeat(900_000))));
    await expect.poll(() => cut.responses.length, patience).toBe(4);
    expect(cut.responses.slice(1).map(({ fragment, events }) => [fragment, events.length])).toEqual([
      [true, 2],
      [true, 2],
      [false, 1],
    ]);
    await expect.poll(() => whole.responses[1]?.events.length).toBe(5);
    expect(whole.responses[1]?.fragment).toBe(false);
  });

  it('refuses more watches than a stream may have', async () => {
    using watch = client.watch();

    for (let at = 0; at <= watchesMax; at++) create(watch, { key: bytes('n') });
    await expect.poll(() => watch.responses.length, patience).toBe(watchesMax + 1);
    expect(watch.responses.at(-1)).toMatchObject({ watch_id: -1, created: true, canceled: true });
  });

  it('lets streams beyond those of a connection wait for one that ends', async () => {
    using one = await connectRaw(served.url, served.admin);

    const watches = Array.from({ length: streamsMax + 1 }, () => one.watch());
    for (const watch of watches) create(watch, { key: bytes('s') });
    const begun = (): number => watches.filter(({ responses }) => responses.length > 0).length;
    await expect.poll(begun, patience).toBe(streamsMax);
    // By its own end: a thousand that are reset at once end the connection, which is HTTP/2's own bound.
    watches.find(({ responses }) => responses.length > 0)?.stream.end();
    await expect.poll(begun, patience).toBe(streamsMax + 1);
  });

  it('ends the stream of a client that does not read', async () => {
    using watch = client.watch();

    create(watch, { key: bytes('u/'), range_end: bytes('u0') });
    await expect.poll(() => watch.responses.length).toBe(1);
    watch.stream.pause();
    const count = 2 + unreadBytesMax / 1_048_576;
    for (let at = 0; at < 2 * count; at++) await write(put('u/a', 'x'.repeat(1_048_576)));
    watch.stream.resume();
    expect(await watch.ended).toBe('14: podwright: the answers of this watch are not read');
  });
});

describe('cutEvents()', () => {
  const event = (size: number): StoreEvent => {
    const current = {
      key: 'k',
      value: new Uint8Array(size),
      createRevision: 1,
      modRevision: 1,
      version: 1,
      lease: 0,
    };
    return { type: 'put', key: 'k', current, previous: current };
  };

  it.each([
    { sizes: [1], hasPrevious: false, want: [1] },
    { sizes: [fragmentBytesMax, 1], hasPrevious: false, want: [1, 1] },
    { sizes: [1_000_000, 1_000_000, 1_000_000], hasPrevious: false, want: [2, 1] },
    { sizes: [1_000_000, 1_000_000, 1_000_000], hasPrevious: true, want: [1, 1, 1] },
  ])('$sizes: $want', ({ sizes, hasPrevious, want }) => {
    expect(cutEvents(sizes.map(event), hasPrevious).map(({ length }) => length)).toEqual(want);
  });
});

describe('bounds of a request', () => {
  const kv = (): Services['etcdserverpb.KV'] => client.services['etcdserverpb.KV'];

  it('are of its bytes, and of the operations of a transaction with all that is nested in it', async () => {
    const key = bytes('b');
    expect(await client.shown(kv().Put, { key, value: Buffer.alloc(1_572_864) })).toMatch(/is too large$/);
    expect(await client.shown(kv().Put, { key, value: Buffer.alloc(2_200_000) })).toMatch(
      /^8: .*larger than max/,
    );
    const half = (name: string): object => ({
      request_put: { key: bytes(name), value: Buffer.alloc(800_000) },
    });
    expect(await client.shown(kv().Txn, { success: [half('a'), half('b')] })).toMatch(/is too large$/);
    const ranges = (count: number): object[] =>
      Array.from({ length: count }, () => ({ request_range: { key } }));
    expect(await client.shown(kv().Txn, { success: ranges(txnOpsMax + 1) })).toMatch(/too many operations/);
    const nested = Array.from({ length: 9 }, () => ({ request_txn: { success: ranges(nestedOpsMax / 8) } }));
    expect(await client.shown(kv().Txn, { success: nested })).toMatch(/too many operations/);
    let deep: object = { request_range: { key } };
    for (let at = 0; at < 2000; at++) deep = { request_txn: { success: [deep] } };
    expect(await client.shown(kv().Txn, { success: [deep] })).toMatch(/^(3: .*too many|13:)/);
    expect(await client.shown(kv().Put, { key: Buffer.from([0xff]) })).toMatch(/^3: .*UTF-8/);
  });
});
