import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { isPodwrightError, type PodwrightError } from '#base/errors.ts';
import { put } from '#control-plane/store/store.conformance.ts';
import type { Store, StoreEvent } from '#control-plane/store/store.ts';
import { noEtcd, startEtcd, type EtcdServers } from './etcd-server.fixture.ts';
import { openEtcdStore } from './etcd-store.ts';

/** An election, and a member that comes back. */
const patience = { timeout: 60_000 };

let etcd: EtcdServers;
const open = (prefix: string, endpoints: readonly string[] = etcd.urls): Promise<Store> =>
  openEtcdStore({ endpoints, clock: systemClock, prefix });
const textIn = (current: { readonly value: Uint8Array } | undefined): string =>
  Buffer.from(current?.value ?? []).toString();
const numberIn = (current: { readonly value: Uint8Array } | undefined): number =>
  Number(textIn(current).split(' ')[0]);

interface Writer {
  readonly store: Store;
  readonly key: string;
  /** Goes with each number: no two writers write the same bytes, as with objects that carry a uid. */
  readonly name: string;
  /** Every number that was acknowledged. */
  readonly numbers: number[];
}

/** Raises the number of a key until it is told to stop. */
async function raise({ store, key, name, numbers }: Writer, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    try {
      const { value } = await store.update(key, (current) => ({
        ops: [put(key, `${numberIn(current) + 1} by ${name}`)],
      }));
      numbers.push(numberIn(value));
    } catch (error) {
      // What the client is told then is that nobody knows.
      if (!isPodwrightError(error) || !['E_CONNECTION', 'E_TIMEOUT', 'E_CLOSED'].includes(error.code)) {
        throw error;
      }
    }
  }
}

/** What is wrong with what a watcher was told: order, and that each event follows the one before it of its key. */
function watchProblems(events: readonly StoreEvent[]): readonly string[] {
  const lasts = new Map<string, number>();
  let revision = 0;
  return events.flatMap(({ key, current, previous }) => {
    const last = lasts.get(key) ?? 0;
    const problems = [
      ...(current.modRevision < revision ? [`${key}@${current.modRevision} after ${revision}`] : []),
      ...(last !== (previous?.modRevision ?? 0)
        ? [`${key}@${current.modRevision} follows ${previous?.modRevision}, told was ${last}`]
        : []),
    ];
    lasts.set(key, current.modRevision);
    revision = current.modRevision;
    return problems;
  });
}

describe.skipIf(noEtcd !== '')(`three members ${noEtcd}`, () => {
  beforeAll(async () => {
    etcd = await startEtcd({ members: 3 });
  });
  afterAll(() => etcd[Symbol.asyncDispose]());

  it('lose nothing that was acknowledged, and tell every watcher all of it, while each is killed in turn', async () => {
    await using one = await open('/kill/');
    await using other = await open('/kill/', etcd.urls.toReversed());

    const seen: StoreEvent[][] = [[], []];
    const watch = (store: Store, at: number): Disposable =>
      store.watch('/kill/', store.compactRevision, (events) => seen[at]?.push(...events));
    using _watchOne = watch(one, 0);
    using _watchOther = watch(other, 1);

    const over = new AbortController();
    using _stop = { [Symbol.dispose]: () => over.abort() };

    const keys = ['/kill/a', '/kill/b', '/kill/shared', '/kill/shared'];
    const writers = [one, other].flatMap((store, server) =>
      keys.map((key, at): Writer => {
        const name = `${server}.${at}`;
        return { store, key: key.endsWith('shared') ? key : `${key}${server}`, name, numbers: [] };
      }),
    );
    const working = Promise.all(writers.map((writer) => raise(writer, over.signal)));
    for (let member = 0; member < 3; member++) {
      await etcd.kill(member);
      await systemClock.sleep(700);
      await etcd.start(member);
      const before = writers.map(({ numbers }) => numbers.length);
      // Every writer goes on before the next member goes.
      const slowest = (): number =>
        Math.min(...writers.map(({ numbers }, at) => numbers.length - (before[at] ?? 0)));
      await expect.poll(slowest, patience).toBeGreaterThan(0);
    }
    over.abort();
    await working;
    await Promise.all([one.range('/kill/'), other.range('/kill/')]);
    expect(seen.map(watchProblems)).toEqual([[], []]);
    expect(seen[0]?.length).toBe(seen[1]?.length);
    for (const { key, numbers } of writers) {
      const told = new Set(seen[0]?.flatMap((event) => (event.key === key ? [numberIn(event.current)] : [])));
      expect(numbers.filter((number) => !told.has(number))).toEqual([]);
      expect(numberIn(await other.get(key))).toBeGreaterThanOrEqual(numbers.at(-1) ?? 0);
    }
    const shared = writers.flatMap(({ key, numbers }) => (key.endsWith('shared') ? numbers : []));
    expect(new Set(shared).size).toBe(shared.length);
  });

  it('answer within seconds while one holds its connections and says nothing', async () => {
    await using store = await open('/frozen/');

    for (let member = 0; member < 3; member++) {
      etcd.freeze(member);
      try {
        const { value } = await store.update('/frozen/a', () => ({
          ops: [put('/frozen/a', String(member))],
        }));
        expect(textIn(value)).toBe(String(member));
        expect(textIn(await store.get('/frozen/a'))).toBe(String(member));
      } finally {
        etcd.thaw(member);
      }
    }
  });

  it('are read anew, and watches end, when they were compacted beyond what was read', async () => {
    await using there = await open('/gap/', etcd.urls.slice(0, 1));
    await using elsewhere = await open('/gap/', etcd.urls.slice(1));

    await there.commit({ expect: [], ops: [put('/gap/a', '1'), put('/gap/b', '1')] });
    const ends: PodwrightError[] = [];
    using _watch = there.watch('/gap/', there.revision, () => {}, { onEnd: (error) => ends.push(error) });

    await etcd.kill(0);
    await elsewhere.update('/gap/a', () => ({ ops: [put('/gap/a', '2')] }));
    await elsewhere.update('/gap/b', () => ({ ops: [{ op: 'delete', key: '/gap/b' }] }));
    const { revision } = await elsewhere.update('/gap/c', () => ({ ops: [put('/gap/c', '2')] }));
    await elsewhere.compact(revision);
    await etcd.start(0);
    await expect.poll(() => ends.map(({ detail }) => detail['compacted']), patience).toEqual([true]);
    const { values } = await there.range('/gap/');
    expect(values.map((value) => `${value.key} ${textIn(value)}`)).toEqual(['/gap/a 2', '/gap/c 2']);
    expect(there.compactRevision).toBe(revision);
    const { value } = await there.update('/gap/a', () => ({ ops: [put('/gap/a', '3')] }));
    expect(value).toEqual((await elsewhere.range('/gap/')).values[0]);
  });
});
