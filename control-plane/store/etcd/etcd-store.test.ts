import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createRandom } from '#base/random.fixture.ts';
import { describeStore, put, textOf } from '#control-plane/store/store.conformance.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import type { Store, StoreEvent, StoreOp } from '#control-plane/store/store.ts';
import { createEtcdClient } from './client.ts';
import { takeCompactionTurn } from './compactor.ts';
import { countedFrom } from './counted-from.fixture.ts';
import { startCutProxy } from './cut-proxy.fixture.ts';
import { noEtcd, startEtcd, type EtcdServers } from './etcd-server.fixture.ts';
import { openEtcdStore } from './etcd-store.ts';

const patience = { timeout: 60_000 };

let etcd: EtcdServers;

const open = (prefix: string, endpoints: readonly string[] = etcd.urls): Promise<Store> =>
  openEtcdStore({ endpoints, clock: systemClock, prefix });

/** A store without keys, in an etcd that others have used. */
async function openEmpty(): Promise<Store> {
  const store = await open('/');
  const { values } = await store.range('/');
  await store.commit({ expect: [], ops: values.map(({ key }) => ({ op: 'delete', key })) });
  return countedFrom(store);
}

const textIn = (current: { readonly value: Uint8Array } | undefined): string =>
  Buffer.from(current?.value ?? []).toString();

/** Bytes as text: what they are kept in does not matter. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_field, inner: unknown) =>
      inner instanceof Uint8Array ? Buffer.from(inner).toString() : inner,
    ),
  );

describe.skipIf(noEtcd !== '').each([{ members: 1 }, { members: 3 }])(
  `etcd of $members ${noEtcd}`,
  ({ members }) => {
    beforeAll(async () => {
      etcd = await startEtcd({ members });
    });
    afterAll(() => etcd[Symbol.asyncDispose]());

    describeStore('etcd engine', openEmpty);
  },
);

describe.skipIf(noEtcd !== '')(`openEtcdStore() beside the model ${noEtcd}`, () => {
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd[Symbol.asyncDispose]());

  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

  it(`behaves as the fake does under random work by two servers (SEED=${seed})`, async () => {
    const draw = createRandom(seed);
    const random = (below: number): number => Math.floor(draw() * below);
    const model = createFakeStore();
    await using one = countedFrom(await open('/k'));
    await using other = countedFrom(await open('/k'));

    const seen: { readonly [who: string]: StoreEvent[] } = { model: [], one: [], other: [] };
    model.watch('/k1', 0, (events) => seen['model']?.push(...events));
    one.watch('/k1', 0, (events) => seen['one']?.push(...events));
    other.watch('/k1', 0, (events) => seen['other']?.push(...events));
    const key = (): string => `/k${random(3)}/${random(8)}`;
    const randomOp = (): StoreOp =>
      random(3) === 0 ? { op: 'delete', key: key() } : put(key(), String(random(1e6)));
    for (let step = 0; step < 300; step++) {
      const [writer = one, reader = other] = random(2) === 0 ? [one, other] : [other, one];
      const drawn = Array.from({ length: 1 + random(3) }, randomOp);
      const ops = [...new Map(drawn.map((op) => [op.key, op])).values()];
      const expected = key();
      const present = await model.get(expected);
      const modRevision = random(5) === 0 ? random(50) : (present?.modRevision ?? 0);
      const txn = { expect: random(2) === 0 ? [{ key: expected, modRevision }] : [], ops };
      expect(plain(await writer.commit(txn))).toEqual(plain(await model.commit(txn)));
      if (random(40) === 0) {
        const at = model.compactRevision + random(model.revision - model.compactRevision + 1);
        await Promise.all([model.compact(at), writer.compact(at)]);
      }
      expect(plain(await reader.range('/k'))).toEqual(plain(await model.range('/k')));
      const revision = model.compactRevision + random(model.revision - model.compactRevision + 1);
      const asked = { revision, limit: random(6), from: key() };
      expect(plain(await reader.range('/k', asked))).toEqual(plain(await model.range('/k', asked)));
      expect(reader.revision).toBe(model.revision);
    }
    await one.range('/k');
    expect(plain(seen['one'])).toEqual(plain(seen['model']));
    expect(plain(seen['other'])).toEqual(plain(seen['model']));
  });
});

describe.skipIf(noEtcd !== '')(`openEtcdStore() ${noEtcd}`, () => {
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd[Symbol.asyncDispose]());

  it('reads what another server wrote a moment before', async () => {
    await using one = await open('/moment/');
    await using other = await open('/moment/');

    for (let count = 0; count < 50; count++) {
      await one.commit({ expect: [], ops: [put('/moment/a', String(count))] });
      expect(textIn(await other.get('/moment/a'))).toBe(String(count));
      expect((await other.range('/moment/')).revision).toBeGreaterThanOrEqual(one.revision);
    }
  });

  it('loses no update of two servers that change one key at once', async () => {
    await using one = await open('/count/');
    await using other = await open('/count/');

    const raise = (store: Store): Promise<unknown> =>
      store.update('/count/a', (current) => ({
        ops: [put('/count/a', String(Number(textIn(current)) + 1))],
      }));
    await Promise.all(Array.from({ length: 40 }, (_, at) => raise(at % 2 === 0 ? one : other)));
    expect(textIn(await one.get('/count/a'))).toBe('40');
  });

  it('does not answer by what it decided on an old state', async () => {
    await using one = await open('/stale/');
    await using other = await open('/stale/');

    await one.commit({ expect: [], ops: [put('/stale/a', 'old')] });
    for (let count = 0; count < 30; count++) {
      const writing = one.commit({ expect: [], ops: [put('/stale/a', String(count))] });
      await writing;
      const { value } = await other.update('/stale/a', () => undefined);
      expect(textIn(value)).toBe(String(count));
      const refused = other.update('/stale/a', (current) => {
        throw new RangeError(textIn(current));
      });
      await expect(refused).rejects.toThrow(new RangeError(String(count)));
    }
  });

  it('tells a watch from before it was opened', async () => {
    await using one = await open('/before/');

    const { revision } = await one.commit({ expect: [], ops: [put('/before/a', '1')] });
    await one.commit({ expect: [], ops: [put('/before/a', '2')] });
    await one.commit({ expect: [], ops: [{ op: 'delete', key: '/before/a' }] });
    await using other = await open('/before/');

    const seen: StoreEvent[] = [];
    using _watch = other.watch('/before/', revision, (events) => seen.push(...events));

    await expect.poll(() => seen.length).toBe(2);
    expect(seen.map(({ type, previous }) => `${type} ${textOf(previous)}`)).toEqual([
      `put 1@${revision}`,
      `delete 2@${revision + 1}`,
    ]);
    expect(textIn(await other.get('/before/a', revision))).toBe('1');
  });

  it('keeps no keys but those under its prefix, and counts all revisions', async () => {
    await using one = await open('/mine/');
    await using other = await open('/theirs/');

    await other.commit({ expect: [], ops: [put('/theirs/a', 'x')] });
    await expect(one.commit({ expect: [], ops: [put('/theirs/a', 'y')] })).rejects.toMatchObject({
      code: 'E_INVALID',
    });
    expect(await one.range('/')).toMatchObject({ revision: other.revision, values: [] });
  });

  it('reads a large store in pages', async () => {
    await using one = await open('/large/');

    for (let batch = 0; batch < 12; batch++) {
      const ops = Array.from({ length: 100 }, (_, at) => put(`/large/${batch}-${at}`, 'v'));
      await one.commit({ expect: [], ops });
    }
    await one.compact(one.revision);
    await using other = await open('/large/');

    expect((await other.range('/large/')).values).toEqual((await one.range('/large/')).values);
    expect(other.compactRevision).toBeGreaterThanOrEqual(one.compactRevision);
  });

  it('compacts once in a round, whoever is first', async () => {
    using client = await createEtcdClient({ endpoints: etcd.urls, clock: systemClock });
    await using store = await open('/turns/');

    let [one, other] = [
      { version: 0, revision: 0 },
      { version: 0, revision: 0 },
    ];
    one = await takeCompactionTurn(client, one);
    other = await takeCompactionTurn(client, other);
    expect(other.version).toBe(one.version);
    await store.commit({ expect: [], ops: [put('/turns/a', 'x')] });
    const before = one.revision;
    other = await takeCompactionTurn(client, other);
    one = await takeCompactionTurn(client, one);
    expect(one.version).toBe(other.version);
    await using later = await open('/turns/');

    expect(later.compactRevision).toBeGreaterThanOrEqual(before);
    expect(later.compactRevision).toBeLessThan(one.revision);
  });

  it('knows its own write again when the answer was lost', async () => {
    await using proxy = await startCutProxy(etcd.urls[0] ?? '');
    await using store = await open('/lost/', [proxy.url]);
    await using direct = await open('/lost/');

    const lose = async <T>(write: () => Promise<T>, isThere: () => Promise<boolean>): Promise<T> => {
      proxy.loseAnswers();
      const writing = write();
      await expect.poll(isThere, patience).toBe(true);
      proxy.cut();
      return await writing;
    };
    const has = (key: string, text: string | undefined) => async (): Promise<boolean> => {
      const value = await direct.get(key);
      return text === undefined ? value === undefined : value !== undefined && textIn(value) === text;
    };
    const created = await lose(
      () => store.commit({ expect: [{ key: '/lost/a', modRevision: 0 }], ops: [put('/lost/a', 'created')] }),
      has('/lost/a', 'created'),
    );
    expect(created).toMatchObject({ ok: true, revision: direct.revision });
    const updated = await lose(
      () => store.update('/lost/a', (current) => ({ ops: [put('/lost/a', `${textIn(current)} once`)] })),
      has('/lost/a', 'created once'),
    );
    expect(textIn(updated.value)).toBe('created once');
    const removed = await lose(
      () => store.update('/lost/a', () => ({ ops: [{ op: 'delete', key: '/lost/a' }] })),
      has('/lost/a', undefined),
    );
    expect(removed.value).toBeUndefined();
    const blind = await lose(
      () => store.commit({ expect: [], ops: [put('/lost/b', 'x')] }),
      has('/lost/b', 'x'),
    );
    expect(blind).toMatchObject({ ok: true, revision: (await direct.get('/lost/b'))?.modRevision });
    const overwritten = await lose(
      () => store.commit({ expect: [], ops: [put('/lost/c', 'own')] }),
      async () => {
        if ((await direct.get('/lost/c')) === undefined) return false;
        await direct.commit({ expect: [], ops: [put('/lost/c', "another's")] });
        return true;
      },
    );
    expect(overwritten).toMatchObject({ ok: true, values: [{ key: '/lost/c', version: 1 }] });
    expect(textIn(await direct.get('/lost/c'))).toBe("another's");
  });

  it('does not take the very same bytes of another server for its own', async () => {
    await using proxy = await startCutProxy(etcd.urls[0] ?? '');
    await using store = await open('/same/', [proxy.url]);
    await using direct = await open('/same/');

    const { revision } = await direct.commit({ expect: [], ops: [put('/same/count', '1')] });
    await store.get('/same/count');
    const raise = { expect: [{ key: '/same/count', modRevision: revision }], ops: [put('/same/count', '2')] };
    proxy.loseRequests();
    const raising = store.commit(raise);
    const other = await direct.commit(raise);
    proxy.cut();
    expect(other.ok).toBe(true);
    expect(await raising).toMatchObject({ ok: false, current: [{ modRevision: other.revision }] });
    const raised = await store.update('/same/count', (current) => ({
      ops: [put('/same/count', String(Number(textIn(current)) + 1))],
    }));
    expect(textIn(raised.value)).toBe('3');
  });

  it('has as many marks as transactions at once, and those that are not used go with a compaction', async () => {
    using client = await createEtcdClient({ endpoints: etcd.urls, clock: systemClock });
    await using store = await open('/marks/');

    const marks = async (): Promise<number> => {
      const { Range } = client.services['etcdserverpb.KV'];
      const folder = {
        key: Buffer.from('podwright/attempts/'),
        range_end: Buffer.from('podwright/attempts0'),
      };
      return (await client.ask('read', Range, { ...folder, count_only: true })).response.count;
    };
    const before = await marks();
    const write = (key: string): Promise<unknown> =>
      store.commit({ expect: [], ops: [put(`/marks/${key}`, 'x')] });
    for (let count = 0; count < 5; count++) await write('a');
    expect(await marks()).toBe(before + 1);
    let turn = await takeCompactionTurn(client, { version: 0, revision: 0 });
    for (let round = 0; round < 2; round++) turn = await takeCompactionTurn(client, turn);
    expect(await marks()).toBe(0);
    await write('a');
    await Promise.all(['b', 'c'].map(write));
    expect(await marks()).toBe(2);
    expect((await store.range('/marks/')).values).toHaveLength(3);
  });

  it('says that etcd is away, fails in bounded time, and goes on when it is back', async () => {
    await using store = await open('/away/');

    await store.commit({ expect: [], ops: [put('/away/a', '1')] });
    const { revision } = store;
    const seen: string[] = [];
    using _watch = store.watch('/away/', revision, (events) => {
      seen.push(...events.map(({ current }) => textIn(current)));
    });

    await etcd.kill(0);
    await expect.poll(() => store.failure?.code, patience).toBe('E_CONNECTION');
    expect(textIn(await store.get('/away/a', revision))).toBe('1');
    const waiting = store.update('/away/a', () => ({ ops: [put('/away/a', '2')] }));
    const blind = store.commit({ expect: [], ops: [put('/away/b', '3')] });
    await etcd.start(0);
    expect(textIn((await waiting).value)).toBe('2');
    expect((await blind).ok).toBe(true);
    await expect.poll(() => store.failure, patience).toBeUndefined();
    await expect.poll(() => seen, patience).toEqual(expect.arrayContaining(['2', '3']));
  });
});
