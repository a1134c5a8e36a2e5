import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { at, objectsOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { startTestServer, type TestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import type { StoredValue } from '#control-plane/store/store.ts';
import { RecentLists } from './recent-lists.ts';

const view = { kind: builtIn('', 'v1', 'configmaps'), apiVersion: undefined };
const partial = { ...view, apiVersion: 'meta.k8s.io/v1' };

function rangeOf(length: number): readonly StoredValue[] {
  return Array.from({ length }, () => ({ key: '', value: new Uint8Array(), modRevision: 1 }) as StoredValue);
}

describe('RecentLists', () => {
  it('keeps what is asked for again, by range and view, until nobody asks', () => {
    const clock = createFakeClock();
    const lists = new RecentLists(clock);
    const range = rangeOf(256);
    const pieces = [new Uint8Array(3)];
    expect(lists.ask(range, view)).toEqual({});
    lists.ask(range, view).keep?.(pieces);
    expect(lists.ask(range, view).pieces).toBe(pieces);
    expect(lists.ask(range, partial)).toEqual({});
    expect(lists.ask(rangeOf(256), view)).toEqual({});
    clock.advance(9_000);
    expect(lists.ask(range, view).pieces).toBe(pieces);
    clock.advance(15_000);
    expect(lists.ask(range, view).pieces).toBeUndefined();
  });

  it('keeps nothing of few objects, and no list that is large', () => {
    const lists = new RecentLists(createFakeClock());
    const [few, many] = [rangeOf(255), rangeOf(256)];
    for (let i = 0; i < 3; i++) {
      expect(lists.ask(few, view)).toEqual({});
      const { keep, pieces } = lists.ask(many, view);
      keep?.([new Uint8Array(8_388_609)]);
      expect(pieces).toBeUndefined();
    }
  });

  it('gives up the oldest for the newest', () => {
    const lists = new RecentLists(createFakeClock());
    const ranges = Array.from({ length: 5 }, () => rangeOf(256));
    for (const range of ranges) {
      lists.ask(range, view);
      lists.ask(range, view).keep?.([new Uint8Array(8_388_608)]);
    }
    expect(ranges.map((range) => lists.ask(range, view).pieces !== undefined)).toEqual([
      ...[false, true, true, true, true],
    ]);
  });
});

describe('a list that is asked for again', () => {
  const path = '/api/v1/namespaces/default/configmaps';
  let test: TestServer;
  beforeAll(async () => {
    test = await startTestServer();
    const sizes = [1, 70_000, 65_500, 40_000, 262_144]; // Alone, too large for a piece, and not.
    for (let i = 0; i < 300; i++)
      await test.make(path, {
        metadata: { name: `c${i}` },
        data: { text: 'x'.repeat(sizes[i] ?? 10) },
      });
  });
  afterAll(() => test[Symbol.asyncDispose]());

  it.each(['', 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', 'application/yaml'])(
    'is the same, as %s, and another after a change',
    async (accept) => {
      const list = async (): Promise<{ readonly text: string; readonly status: number }> => {
        const { text, status } = await test.call('GET', path, { headers: accept === '' ? {} : { accept } });
        return { text, status };
      };
      const first = await list();
      for (let i = 0; i < 3; i++) expect(await list()).toEqual(first);
      const name = `added-${accept.length}`;
      await test.make(path, { metadata: { name } });
      const after = await list();
      expect(after.text).toContain(name);
      expect(await list()).toEqual(after);
      expect(await list()).toEqual(after);
    },
  );

  it('tells the revision of now, though nothing of it has changed', async () => {
    const revision = async (): Promise<number> =>
      Number(at((await test.call('GET', path)).json, 'metadata.resourceVersion'));
    const before = await revision();
    await revision();
    await test.make('/api/v1/namespaces/default/secrets', { metadata: { name: 's' } });
    expect(await revision()).toBeGreaterThan(before);
    expect(objectsOf((await test.call('GET', path)).json['items']).length).toBeGreaterThanOrEqual(300);
  });
});
