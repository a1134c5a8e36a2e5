import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store, StoredValue, StoreEvent, StoreOp } from './store.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const textOf = (value: StoredValue | undefined): string | undefined =>
  value && `${decoder.decode(value.value)}@${value.modRevision}`;
export const put = (key: string, text: string, lease = 0): StoreOp => ({
  op: 'put',
  key,
  value: encoder.encode(text),
  lease,
});
const del = (key: string): StoreOp => ({ op: 'delete', key });
const renderEvent = (event: StoreEvent): string =>
  `${event.current.modRevision} ${event.type} ${event.key} ${textOf(event.previous) ?? '-'} -> ${textOf(event.current)}`;

/** Every engine of the store passes this. `open` gives an empty store. */
export function describeStore(name: string, open: () => Promise<Store>): void {
  describe(`${name}: the store's contract`, () => {
    let store: Store;
    const write = async (...ops: StoreOp[]): Promise<number> =>
      (await store.commit({ expect: [], ops })).revision;

    beforeEach(async () => {
      store = await open();
    });
    afterEach(async () => {
      await store[Symbol.asyncDispose]();
    });

    it('commit() gives each writing transaction the next revision, and the value knows it', async () => {
      expect(await write(put('/a', 'x'))).toBe(1);
      expect(await write(put('/b', 'y'), put('/c', 'z'))).toBe(2);
      expect(textOf(await store.get('/a'))).toBe('x@1');
      expect(textOf(await store.get('/c'))).toBe('z@2');
      expect(store.revision).toBe(2);
    });

    it('commit() keeps createRevision over changes, and starts anew after a deletion', async () => {
      await write(put('/a', 'x'));
      await write(put('/a', 'y'));
      expect(await store.get('/a')).toMatchObject({ createRevision: 1, modRevision: 2 });
      await write(del('/a'));
      await write(put('/a', 'z'));
      expect(await store.get('/a')).toMatchObject({ createRevision: 4, modRevision: 4 });
    });

    it('values say how often their key was put since its creation, and under which lease', async () => {
      const lease = await store.grantLease(60);
      const told: string[] = [];
      using _watch = store.watch('/', store.revision, (events) =>
        told.push(...events.map(({ current }) => `${current.version} ${current.lease === lease}`)),
      );

      await write(put('/a', 'x', lease));
      await write(put('/a', 'y', lease));
      expect(await store.get('/a')).toMatchObject({ version: 2, lease });
      await write(put('/a', 'z'));
      expect(await store.get('/a')).toMatchObject({ version: 3, lease: 0 });
      await write(del('/a'));
      await write(put('/a', 'x'));
      expect((await store.range('/')).values).toMatchObject([{ version: 1, lease: 0 }]);
      await expect.poll(() => told).toEqual(['1 true', '2 true', '3 false', '0 false', '1 false']);
    });

    it('commit() does nothing when an expectation does not hold, and says what is there', async () => {
      await write(put('/a', 'x'));
      const expected = [
        { key: '/a', modRevision: 7 },
        { key: '/b', modRevision: 0 },
      ];
      const result = await store.commit({ expect: expected, ops: [put('/a', 'y'), put('/b', 'y')] });
      expect(result).toMatchObject({
        ok: false,
        revision: 1,
        current: [{ key: '/a', modRevision: 1 }, undefined],
      });
      expect(textOf(await store.get('/a'))).toBe('x@1');
      expect(await store.get('/b')).toBeUndefined();
    });

    it('commit() lets exactly one of many that create the same key win', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.commit({ expect: [{ key: '/a', modRevision: 0 }], ops: [put('/a', String(index))] }),
        ),
      );
      expect(results.filter((result) => result.ok)).toHaveLength(1);
      for (const result of results)
        if (!result.ok) expect(result.current[0]).toMatchObject({ modRevision: 1 });
    });

    it('commit() takes no revision for the deletion of what is not there', async () => {
      expect(await write(del('/a'))).toBe(0);
      expect(store.revision).toBe(0);
    });

    it('commit() refuses to write a key twice, and an unknown lease', async () => {
      await expect(store.commit({ expect: [], ops: [put('/a', 'x'), del('/a')] })).rejects.toMatchObject({
        code: 'E_INVALID',
      });
      await expect(write(put('/a', 'x', 99))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      expect(await store.get('/a')).toBeUndefined();
    });

    it('update() lets everybody who changes a key at once see what the one before left', async () => {
      const results = await Promise.all(
        Array.from({ length: 64 }, () =>
          store.update('/a', (current) => ({
            ops: [put('/a', `${textOf(current)?.split('@')[0] ?? ''}x`)],
          })),
        ),
      );
      expect(results.map(({ revision }) => revision)).toEqual(Array.from({ length: 64 }, (_, at) => at + 1));
      expect(results[1]).toMatchObject({ previous: { modRevision: 1 }, value: { modRevision: 2 } });
      expect(textOf(await store.get('/a'))).toBe(`${'x'.repeat(64)}@64`);
    });

    it('update() deletes, leaves things as they are, and passes on what the decision throws', async () => {
      await write(put('/a', 'x'));
      const deleting = store.update('/a', () => ({ ops: [del('/a')] }));
      const keeping = store.update('/a', () => undefined);
      const refusing = store.update('/a', (current) => {
        throw new RangeError(String(current));
      });
      await expect(refusing).rejects.toThrow(new RangeError('undefined'));
      expect(await deleting).toMatchObject({ revision: 2, previous: { modRevision: 1 }, value: undefined });
      expect(await keeping).toMatchObject({ revision: 2, previous: undefined, value: undefined });
      expect(store.revision).toBe(2);
    });

    it('update() writes other keys beside its own, and never two of many the same', async () => {
      const claimFree = (name: string): Promise<unknown> =>
        store.update(name, (_current, read) => {
          const claim = ['/claims/1', '/claims/2', '/claims/3'].find((key) => read(key) === undefined);
          if (claim === undefined) throw new RangeError('none is free');
          return { ops: [put(claim, name), put(name, claim)], expect: [{ key: claim, modRevision: 0 }] };
        });
      const results = await Promise.allSettled(['/a', '/b', '/c', '/d'].map(claimFree));
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'fulfilled',
        'rejected',
      ]);
      expect(results[0]).toMatchObject({ value: { revision: 1, value: { key: '/a' } } });
      const { values } = await store.range('/');
      expect(values.map(({ key }) => key)).toEqual([
        ...['/a', '/b', '/c'],
        ...['/claims/1', '/claims/2', '/claims/3'],
      ]);
      const freed = await store.update('/b', (current, read) => {
        const claim = textOf(current)?.split('@')[0] ?? '';
        return {
          ops: [del(claim), del('/b')],
          expect: [{ key: claim, modRevision: read(claim)?.modRevision ?? 0 }],
        };
      });
      expect(freed).toMatchObject({ revision: 4, value: undefined });
      await claimFree('/d');
      expect((await store.range('/claims/')).values.map(textOf)).toEqual(['/a@1', '/d@5', '/c@3']);
    });

    it('commit() leaves no trace when one of its ops cannot be done', async () => {
      const broken = put('/b', 'x', 4711); // There is no such lease.
      await expect(store.commit({ expect: [], ops: [put('/a', 'x'), broken] })).rejects.toThrow('lease');
      expect(await write(put('/c', 'x'))).toBe(1);
      expect(await store.get('/a')).toBeUndefined();
    });

    it('range() gives keys of the prefix in byte order, with limit, from and what remains', async () => {
      await write(
        ...['/p/b', '/p/a/1', '/p/a', '/p/a-1', '/q/a', '/o', '/p/a.x'].map((key) => put(key, 'v')),
      );
      const all = await store.range('/p/');
      expect(all.values.map(({ key }) => key)).toEqual(['/p/a', '/p/a-1', '/p/a.x', '/p/a/1', '/p/b']);
      const page = await store.range('/p/', { limit: 2 });
      expect(page).toMatchObject({ more: true, remaining: 3, revision: 1 });
      const rest = await store.range('/p/', { from: '/p/a-1\0', limit: 3 });
      expect(rest.values.map(({ key }) => key)).toEqual(['/p/a.x', '/p/a/1', '/p/b']);
      expect(rest).toMatchObject({ more: false, remaining: 0 });
    });

    it('range() and get() read the past, refuse the future and what is compacted', async () => {
      await write(put('/a', 'x'));
      await write(put('/a', 'y'), put('/b', 'y'));
      await write(del('/a'));
      await write(put('/c', 'z'));
      expect(textOf(await store.get('/a', 1))).toBe('x@1');
      expect((await store.range('/', { revision: 2 })).values.map(textOf)).toEqual(['y@2', 'y@2']);
      expect((await store.range('/')).values.map(textOf)).toEqual(['y@2', 'z@4']);
      await expect(store.range('/', { revision: 5 })).rejects.toMatchObject({ code: 'E_INVALID' });
      await store.compact(3);
      expect(store.compactRevision).toBe(3);
      await expect(store.get('/a', 2)).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
        detail: { compacted: true },
      });
      expect((await store.range('/', { revision: 3 })).values.map(textOf)).toEqual(['y@2']);
      expect((await store.range('/')).values.map(textOf)).toEqual(['y@2', 'z@4']);
    });

    it('watch() tells the past after a revision, then what comes, without a gap or a repeat', async () => {
      await write(put('/p/a', '1'));
      await write(put('/p/b', '2'), put('/q/x', '2'));
      const seen: string[] = [];
      const watch = store.watch('/p/', 1, (events) => seen.push(...events.map(renderEvent)));
      await write(put('/p/a', '3'));
      await write(put('/q/y', '4'));
      await write(del('/p/a'));
      await write(del('/p/b'));
      await expect.poll(() => seen.length).toBe(4);
      expect(seen).toEqual([
        '2 put /p/b - -> 2@2',
        '3 put /p/a 1@1 -> 3@3',
        '5 delete /p/a 3@3 -> 3@5',
        '6 delete /p/b 2@2 -> 2@6',
      ]);
      watch[Symbol.dispose]();
      await write(put('/p/z', '7'));
      expect(seen).toHaveLength(4);
    });

    it('watch() of the present tells a write before its commit resolves', async () => {
      await write(put('/a', 'x'));
      const seen: string[] = [];
      using _watch = store.watch('/', store.revision, (events) => seen.push(...events.map(renderEvent)));

      await write(put('/a', 'y'));
      expect(seen).toEqual(['2 put /a x@1 -> y@2']);
    });

    it('watch() of a topic tells what is about it before or after, of the past and live, each once', async () => {
      const topicsOf = ({ current, previous }: StoreEvent): readonly string[] => [
        ...new Set([current, previous].flatMap((value) => value?.value.toString() ?? [])),
      ];
      const topicOf = (text: string): string => encoder.encode(text).toString();
      await write(put('/p/a', 'red'), put('/p/b', 'blue'));
      await write(put('/p/a', 'blue'));
      const seen: Record<string, string[]> = { red: [], blue: [], other: [] };
      const watches = Object.entries(seen).map(([topic, lines]) =>
        store.watch('/p/', 0, (events) => lines.push(...events.map(renderEvent)), {
          interest: { topicsOf, topic: topicOf(topic) },
        }),
      );
      await expect.poll(() => watches.every(({ isCurrent }) => isCurrent)).toBe(true);
      await write(put('/p/b', 'red'), put('/q/x', 'red'));
      await write(del('/p/b'));
      await expect
        .poll(() => seen)
        .toEqual({
          red: [
            '1 put /p/a - -> red@1',
            '2 put /p/a red@1 -> blue@2',
            '3 put /p/b blue@1 -> red@3',
            '4 delete /p/b red@3 -> red@4',
          ],
          blue: ['1 put /p/b - -> blue@1', '2 put /p/a red@1 -> blue@2', '3 put /p/b blue@1 -> red@3'],
          other: [],
        });
      for (const watch of watches) watch[Symbol.dispose]();
      await write(put('/p/c', 'red'));
      expect(seen['red']).toHaveLength(4);
    });

    it('watch() refuses a compacted revision at once', async () => {
      for (const text of ['1', '2', '3']) await write(put('/a', text));
      await store.compact(2);
      expect(() => store.watch('/', 1, () => {})).toThrow(expect.objectContaining({ code: 'E_NOT_FOUND' }));
      const seen: string[] = [];
      using _watch = store.watch('/', 2, (events) => seen.push(...events.map(renderEvent)));

      await expect.poll(() => seen).toHaveLength(1);
      expect(seen[0]).toMatch(/^3 put \/a .* -> 3@3$/);
    });

    it('revokeLease() deletes the keys that it still holds', async () => {
      const lease = await store.grantLease(60);
      const other = await store.grantLease(60);
      await write(put('/a', 'x', lease), put('/b', 'x', lease), put('/c', 'x', other));
      await write(put('/b', 'y'));
      await store.revokeLease(lease);
      expect((await store.range('/')).values.map(({ key }) => key)).toEqual(['/b', '/c']);
      await expect(write(put('/d', 'x', lease))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    });

    it('refuses use after close', async () => {
      await store[Symbol.asyncDispose]();
      await expect(write(put('/a', 'x'))).rejects.toMatchObject({ code: 'E_CLOSED' });
      await expect(store.get('/a')).rejects.toMatchObject({ code: 'E_CLOSED' });
    });
  });
}
