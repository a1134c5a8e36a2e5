import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import type { Method, Outgoing } from '#proto/contract.ts';
import type { Compare, RangeRequest, RequestOp, TxnRequest } from '#proto/etcd/rpc.ts';
import { noEtcd, startEtcd, type EtcdServers } from '#control-plane/store/etcd/etcd-server.fixture.ts';
import { connectRaw, plain, type RawClient } from './raw-client.fixture.ts';
import { startServed, type Served } from './served.fixture.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const patience = { timeout: 60_000 };

interface Asking {
  readonly text: string;
  readonly ask: (one: RawClient) => Promise<unknown>;
}

/** etcd's sort is not stable, so that what compares alike comes in any order. */
function byKey(value: unknown): unknown {
  if (Array.isArray(value)) {
    const isKeys = value.every((one) => typeof (one as { key?: unknown }).key === 'string');
    const all = value.map(byKey);
    return isKeys ? all.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : all;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, byKey(one)]));
}

let directory: string;
let served: Served;
let etcd: EtcdServers;
let ours: RawClient;
let theirs: RawClient;

describe.skipIf(noEtcd !== '')(`the served store beside a real etcd ${noEtcd}`, () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'podwright-beside-'));
    served = await startServed(directory);
    etcd = await startEtcd();
    ours = await connectRaw(served.url, served.admin);
    theirs = await connectRaw(etcd.urls[0] ?? '');
    // etcd begins with revision 1.
    await served.store.commit({ expect: [], ops: [{ op: 'put', key: '!', value: bytes('x') }] });
    await vi.waitFor(() => theirs.ask(kv().Range, { key: bytes('a') }), patience);
  });
  afterAll(async () => {
    ours[Symbol.dispose]();
    theirs[Symbol.dispose]();
    await Promise.all([etcd[Symbol.asyncDispose](), served[Symbol.asyncDispose]()]);
    rmSync(directory, { recursive: true, force: true });
  });

  const kv = (): RawClient['services']['etcdserverpb.KV'] => ours.services['etcdserverpb.KV'];
  const lease = (): RawClient['services']['etcdserverpb.Lease'] => ours.services['etcdserverpb.Lease'];

  it('answers edges with the same words', async () => {
    const put = (key: string, more: object = {}): Outgoing<RequestOp> => ({
      request_put: { key: bytes(key), value: bytes('v'), ...more },
    });
    const del = (key: string, end?: string): Outgoing<RequestOp> => ({
      request_delete_range: { key: bytes(key), ...(end === undefined ? {} : { range_end: bytes(end) }) },
    });
    const txn = (...success: Outgoing<RequestOp>[]): Outgoing<RequestOp> => ({ request_txn: { success } });
    const txns: readonly Outgoing<TxnRequest>[] = [
      { success: [put('ka'), put('ka')] },
      { success: [put('ka'), del('ka')] },
      { success: [del('k', 'l'), put('ka')] },
      { success: [del('k', 'l'), del('ka')] },
      { success: [put('ka'), txn(put('ka'))] },
      { success: [del('k', 'l'), txn(put('ka'))] },
      { success: [txn(put('ka')), txn(put('ka'))] },
      { success: [txn(del('kn')), txn(put('kn'))] },
      { success: [{ request_txn: { success: [put('kx')], failure: [put('kx'), put('ky')] } }] },
      { success: [put('ka')], failure: [put('ka')] },
      { success: [put('')] },
      { success: [put('ka'), { request_range: { key: bytes('k'), range_end: bytes('l') } }, del('kb', 'l')] },
      { success: Array.from({ length: 129 }, (_, at) => put(`k${at}`)) },
      { success: Array.from({ length: 128 }, (_, at) => put(`k${at}`)) },
      { success: [put('ka', { lease: 999 })] },
      { success: [put('kb', { ignore_value: true })] },
      { success: [put('nothing', { value: bytes(''), ignore_value: true })] },
      { compare: [{ key: bytes('') }] },
      { compare: [{ key: bytes('nothing'), target: 'VALUE', value: bytes('') }] },
      { compare: [{ key: bytes('nothing'), target: 'VALUE', result: 'NOT_EQUAL', value: bytes('a') }] },
      { compare: [{ key: bytes('nothing'), target: 'VERSION', version: 0 }] },
      {
        compare: [
          { key: bytes('k'), range_end: bytes('l'), target: 'VERSION', result: 'GREATER', version: 0 },
        ],
      },
      { success: [{ request_range: { key: bytes('ka'), revision: 9999 } }, put('kz')] },
      { success: [{}] },
    ];
    for (const request of txns) {
      const name = JSON.stringify(plain(request)).slice(0, 300);
      expect([name, await ours.shown(kv().Txn, request)]).toEqual([
        name,
        await theirs.shown(kv().Txn, request),
      ]);
    }
    const { revision } = served.store;
    for (const at of [revision, revision + 2]) {
      const past = { key: bytes('k'), range_end: bytes('l'), revision: at };
      const asPast: Outgoing<TxnRequest> = { success: [put('kpast'), { request_range: past }] };
      expect(await ours.shown(kv().Txn, asPast)).toEqual(await theirs.shown(kv().Txn, asPast));
    }
    const puts = [
      {},
      { key: bytes('k'), value: bytes('x'), ignore_value: true },
      { key: bytes('k'), lease: 5, ignore_lease: true },
      { key: bytes('nothing'), ignore_lease: true },
      { key: bytes('k'), lease: 5 },
      { key: bytes('k'), value: Buffer.alloc(1_600_000) },
    ];
    for (const request of puts)
      expect(await ours.shown(kv().Put, request)).toEqual(await theirs.shown(kv().Put, request));
    for (const request of [
      {},
      { key: bytes('k'), revision: 9999 },
      { key: bytes('l'), range_end: bytes('k') },
    ])
      expect(await ours.shown(kv().Range, request)).toEqual(await theirs.shown(kv().Range, request));
    for (const request of [{}, { key: bytes('nothing'), prev_kv: true }])
      expect(await ours.shown(kv().DeleteRange, request)).toEqual(
        await theirs.shown(kv().DeleteRange, request),
      );
    for (const request of [{ revision: 9999 }, { revision: 1 }, { revision: 1 }])
      expect(await ours.shown(kv().Compact, request)).toEqual(await theirs.shown(kv().Compact, request));
    const { LeaseGrant, LeaseRevoke, LeaseTimeToLive } = lease();
    for (const request of [{ TTL: 60, ID: 77 }, { TTL: 60, ID: 77 }, { TTL: 10_000_000_000 }])
      expect(await ours.shown(LeaseGrant, request)).toMatchObject(
        (await theirs.shown(LeaseGrant, request)) as object,
      );
    await Promise.all([ours, theirs].map((one) => one.shown(kv().Put, { key: bytes('kl'), lease: 77 })));
    for (const ID of [77, 79]) {
      const [got, want] = await Promise.all(
        [ours, theirs].map((one) => one.ask(LeaseTimeToLive, { ID, keys: true })),
      );
      expect(Math.abs((got?.TTL ?? 0) - (want?.TTL ?? 0))).toBeLessThan(3);
      expect(plain({ ...got, TTL: 0 })).toEqual(plain({ ...want, TTL: 0 }));
    }
    for (const ID of [77, 77, 0])
      expect(await ours.shown(LeaseRevoke, { ID })).toEqual(await theirs.shown(LeaseRevoke, { ID }));
    expect(await ours.shown(kv().Range, { key: bytes('k'), range_end: bytes('l') })).toEqual(
      await theirs.shown(kv().Range, { key: bytes('k'), range_end: bytes('l') }),
    );
  });

  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

  it(`answers as it does under random work, and tells the same events (SEED=${seed})`, async () => {
    const draw = createRandom(seed);
    const random = (below: number): number => Math.floor(draw() * below);
    const pick = <T>(of: readonly T[]): T => of[random(of.length)] as T;
    const key = (): Buffer => bytes(`k${random(4)}${pick(['', '/', '-'])}${random(3)}`);
    // An end that is there and empty is no end for etcd, and what no client of its own sends.
    const end = (): { readonly range_end?: Buffer } =>
      pick([
        {},
        {},
        ...[bytes('l'), bytes(`k${random(5)}`), bytes('k3\xff'), bytes('k1\x00')].map((range_end) => ({
          range_end,
        })),
      ]);
    const revision = (): number => (random(4) === 0 ? random(served.store.revision + 3) : 0);
    const range = (): Outgoing<RangeRequest> => ({
      key: key(),
      ...end(),
      revision: revision(),
      sort_order: pick(['NONE', 'NONE', 'ASCEND', 'DESCEND']),
      // What compares alike comes in any order, so that a limit takes any.
      ...pick<Outgoing<RangeRequest>>([
        { limit: random(4) },
        { sort_target: pick(['CREATE', 'MOD', 'VALUE', 'VERSION']) },
        {},
      ]),
      keys_only: random(5) === 0,
      count_only: random(8) === 0,
      min_mod_revision: random(5) === 0 ? random(40) : 0,
      max_create_revision: random(5) === 0 ? random(40) : 0,
    });
    const put = (): object => ({
      key: key(),
      value: bytes(String(served.store.revision)),
      prev_kv: random(2) === 0,
      lease: pick([0, 0, 0, 5, 6]),
    });
    const del = (): object => ({ key: key(), ...end(), prev_kv: random(2) === 0 });
    const compare = (): Outgoing<Compare> => ({
      key: key(),
      ...pick([end(), {}]),
      result: pick(['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL']),
      ...pick<Outgoing<Compare>>([
        { target: 'VERSION', version: random(4) },
        { target: 'CREATE', create_revision: random(served.store.revision) },
        { target: 'MOD', mod_revision: random(served.store.revision) },
        { target: 'VALUE', value: bytes(String(random(100))) },
        { target: 'LEASE', lease: random(7) },
      ]),
    });
    const op = (depth: number): Outgoing<RequestOp> =>
      pick([
        () => ({ request_range: range() }),
        () => ({ request_put: put() }),
        // A key that is put and deleted by two nested transactions is refused by ours only.
        () => (depth < 2 ? { request_range: range() } : { request_delete_range: del() }),
        () => (depth > 0 ? { request_txn: txn(depth - 1) } : { request_put: put() }),
      ])();
    const txn = (depth: number): Outgoing<TxnRequest> => ({
      compare: Array.from({ length: random(3) }, compare),
      success: Array.from({ length: random(4) }, () => op(depth)),
      failure: Array.from({ length: random(3) }, () => op(depth)),
    });
    await Promise.all(
      [ours, theirs].flatMap((one) => [5, 6].map((ID) => one.shown(lease().LeaseGrant, { ID, TTL: 3600 }))),
    );
    const call = <Q, R>(method: Method<Q, R>, request: Outgoing<Q>): Asking => ({
      text: JSON.stringify(plain(request)),
      ask: (one) => one.shown(method, request),
    });
    const counts = { done: 0, refused: 0 };
    for (let step = 0; step < 600; step++) {
      const asking = pick([
        () => call(kv().Range, range()),
        () => call(kv().Put, put()),
        () => call(kv().DeleteRange, del()),
        () => call(kv().Txn, txn(2)),
        () => call(kv().Txn, txn(2)),
        () =>
          random(15) === 0
            ? call(kv().Compact, { revision: random(served.store.revision + 2), physical: true })
            : call(kv().Put, put()),
      ])();
      const asked = `${step} ${asking.text}`;
      const [got, want] = await Promise.all([asking.ask(ours), asking.ask(theirs)]);
      expect([asked, byKey(got)]).toEqual([asked, byKey(want)]);
      counts[typeof got === 'string' ? 'refused' : 'done']++;
    }
    expect(Math.min(counts.done, counts.refused)).toBeGreaterThan(10);
    const { compactRevision, revision: newest } = served.store;
    for (const start of [compactRevision - 1, compactRevision, compactRevision + 1, newest - 20]) {
      const told = async (one: RawClient): Promise<readonly unknown[]> => {
        using watch = one.watch();

        watch.stream.write({
          create_request: { key: bytes('k'), range_end: bytes('l'), start_revision: start, prev_kv: true },
        });
        const all = (): typeof events => watch.responses.flatMap((response) => response.events);
        let events: (typeof watch.responses)[number]['events'] = [];
        const isOver = (): boolean =>
          watch.responses.some(({ canceled }) => canceled) || all().at(-1)?.kv?.mod_revision === last;
        await expect.poll(isOver, patience).toBe(true);
        events = all();
        const cancels = watch.responses.filter(({ canceled }) => canceled);
        return [...events.map(plain), ...cancels.map(({ compact_revision }) => compact_revision)];
      };
      const last = await lastEvent();
      const [got, want] = await Promise.all([told(ours), told(theirs)]);
      // etcd before 3.4.34 forgets a deletion at the compacted revision (etcd #19179); ours is told.
      const atCompaction = (event: unknown): boolean =>
        (event as { type?: string; kv?: { mod_revision: number } }).type === 'DELETE' &&
        (event as { kv: { mod_revision: number } }).kv.mod_revision === compactRevision;
      expect(got.filter((event) => !atCompaction(event))).toEqual(
        want.filter((event) => !atCompaction(event)),
      );
    }
  });

  /** Puts a last key; gives its revision. */
  async function lastEvent(): Promise<number> {
    await Promise.all([ours, theirs].map((one) => one.shown(kv().Put, { key: bytes('k~') })));
    return served.store.revision;
  }
});
