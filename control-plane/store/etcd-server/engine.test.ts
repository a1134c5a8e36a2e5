import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { countedFrom } from '#control-plane/store/etcd/counted-from.fixture.ts';
import { openEtcdStore } from '#control-plane/store/etcd/etcd-store.ts';
import { describeStore, put, textOf } from '#control-plane/store/store.conformance.ts';
import type { Store, StoreEvent } from '#control-plane/store/store.ts';
import { startServed, type Served } from './served.fixture.ts';

let directory: string;
let served: Served;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-served-'));
  served = await startServed(directory);
});
afterAll(async () => {
  await served[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const open = (prefix: string, tls = served.admin): Promise<Store> =>
  openEtcdStore({ endpoints: [served.url], tls, clock: systemClock, prefix });

/** A store without keys, in one that others have used. */
async function openEmpty(): Promise<Store> {
  const store = await open('/');
  const { values } = await store.range('/');
  await store.commit({ expect: [], ops: values.map(({ key }) => ({ op: 'delete', key })) });
  return countedFrom(store);
}

describeStore('etcd engine over the served embedded one', openEmpty);

describe('openEtcdStore() of a served store', () => {
  it('and whoever has that store itself see each other, with their watches', async () => {
    await using store = await open('/both/');

    const seen: StoreEvent[][] = [[], []];
    using _ours = served.store.watch('/both/', served.store.revision, (events) => seen[0]?.push(...events));
    using _theirs = store.watch('/both/', store.revision, (events) => seen[1]?.push(...events));

    const raise = (one: Store): Promise<unknown> =>
      one.update('/both/a', (current) => ({
        ops: [put('/both/a', String(Number(textOf(current)?.split('@')[0] ?? 0) + 1))],
      }));
    await Promise.all(Array.from({ length: 40 }, (_, at) => raise(at % 2 === 0 ? store : served.store)));
    expect(textOf(await store.get('/both/a'))).toMatch(/^40@/);
    await served.store.commit({ expect: [], ops: [{ op: 'delete', key: '/both/a' }] });
    await expect.poll(() => seen.map(({ length }) => length)).toEqual([41, 41]);
    expect(seen[1]?.map(({ type, current }) => [type, current.modRevision])).toEqual(
      seen[0]?.map(({ type, current }) => [type, current.modRevision]),
    );
  });

  it('is not for nodes, whose certificates are of the same authority', async () => {
    await expect(open('/node/', served.node)).rejects.toMatchObject({ code: 'E_PERMISSION' });
  });
});
