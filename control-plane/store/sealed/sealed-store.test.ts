import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { describeStore, put, textOf } from '#control-plane/store/store.conformance.ts';
import { createFakeStore } from '#control-plane/store/store.fake.ts';
import { PlainStore } from './plain-store.ts';
import { SealedStore } from './sealed-store.ts';
import { KeyNeeded, type Sealing } from './sealing.ts';

/** Every byte turned over, behind a sign of the key; `late`: of a key that has to come first, each time anew. */
function turning({ late = false, signs = ['a'] } = {}): Sealing & {
  come(): void;
  lose(sign: string): void;
  generation: number;
} {
  const known = new Set(late ? [] : signs);
  const turn = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes, (byte) => byte ^ 0xff);
  let waiting = Promise.withResolvers<void>();
  return {
    generation: 1,
    mayHold: () => true,
    seal: (_key, value) => Buffer.concat([Buffer.from(signs[0] ?? ''), turn(value)]),
    open: (_key, stored) => {
      const sign = String.fromCharCode(stored[0] ?? 0);
      if (!signs.includes(sign)) throw new PodwrightError('E_API', `no key ${sign}`);
      if (!known.has(sign))
        throw new KeyNeeded(
          late
            ? new Promise((resolve) => void setImmediate(resolve)).then(() => void known.add(sign))
            : waiting.promise,
        );
      return { value: turn(stored.subarray(1)), isStale: sign !== signs[0] };
    },
    inList: (key, error) => new PodwrightError('E_API', `${key}: ${String(error)}`),
    come: () => {
      for (const sign of signs) known.add(sign);
      waiting.resolve();
      waiting = Promise.withResolvers();
    },
    lose: (sign) => known.delete(sign),
  };
}

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

describeStore('the sealed store over the fake', async () => new SealedStore(createFakeStore(), turning()));
describeStore(
  'the sealed store whose keys come late',
  async () => new SealedStore(createFakeStore(), turning({ late: true })),
);
describeStore(
  'the plain store over the fake',
  async () =>
    new PlainStore(createFakeStore(), { open: () => expect.fail(), inList: (_key, error) => error }),
);
describeStore('the sealed store over the embedded engine', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-sealed-'));
  directories.push(directory);
  return new SealedStore(await openEmbeddedStore({ directory, clock: systemClock }), turning());
});

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('SealedStore', () => {
  it('stores nothing as it was, and gives the same bytes for the same', async () => {
    const inner = createFakeStore();
    const store = new SealedStore(inner, turning());
    const value = Buffer.from('sursum corda');
    await store.commit({ expect: [], ops: [{ op: 'put', key: '/a', value }] });
    expect(Buffer.from((await inner.get('/a'))?.value ?? []).toString()).not.toContain('sursum');
    expect((await store.get('/a'))?.value).toBe((await store.range('/')).values[0]?.value);
    expect(textOf(await store.get('/a'))).toBe('sursum corda@1');
  });

  it('says of values of another key that they are stale, until the first has written them', async () => {
    const inner = createFakeStore();
    await new SealedStore(inner, turning({ signs: ['b'] })).commit({ expect: [], ops: [put('/a', 'x')] });
    const store = new SealedStore(inner, turning({ signs: ['a', 'b'] }));
    const found = await store.get('/a');
    expect(found).toMatchObject({ isStale: true });
    await store.commit({ expect: [], ops: [{ op: 'put', key: '/a', value: found?.value ?? Buffer.of() }] });
    expect((await store.get('/a'))?.isStale ?? false).toBe(false);
  });

  it('notices that its keys are others, and keeps the bytes', async () => {
    const sealing = turning({ signs: ['a', 'b'] });
    const store = new SealedStore(createFakeStore(), sealing);
    await store.commit({ expect: [], ops: [put('/a', 'x')] });
    const before = await store.get('/a');
    Object.assign(sealing, { generation: 2, open: () => ({ value: Buffer.from('x'), isStale: true }) });
    const after = await store.get('/a');
    expect(after).toMatchObject({ isStale: true });
    expect(after?.value).toBe(before?.value);
  });

  it('tells what cannot be read of the one, and of which in a list', async () => {
    const inner = createFakeStore();
    await inner.commit({ expect: [], ops: [put('/a', 'zrubbish')] });
    const store = new SealedStore(inner, turning());
    await expect(store.get('/a')).rejects.toThrow('no key z');
    await expect(store.range('/')).rejects.toThrow('/a: ');
    await expect(store.update('/a', () => ({ ops: [{ op: 'delete', key: '/a' }] }))).rejects.toThrow(
      'no key z',
    );
  });

  it('tells a watch in order what waits for a key, and the topics that were asked for alone', async () => {
    const inner = createFakeStore();
    const others = new SealedStore(inner, turning({ signs: ['b'] }));
    const sealing = turning({ signs: ['a', 'b'] });
    sealing.lose('b');
    const store = new SealedStore(inner, sealing);
    const topicsOf = ({ current }: { current: { value: Uint8Array } }): string[] => [
      Buffer.from(current.value).toString(),
    ];
    const told: string[] = [];
    using whole = store.watch('/', 0, (events) =>
      told.push(...events.map(({ current }) => `all ${textOf(current)}`)),
    );
    using _some = store.watch(
      '/',
      0,
      (events) => told.push(...events.map(({ current }) => `y ${textOf(current)}`)),
      {
        interest: { topicsOf, topic: 'y' },
      },
    );

    await others.commit({ expect: [], ops: [put('/1', 'x')] });
    await others.commit({ expect: [], ops: [put('/2', 'y')] });
    await store.commit({ expect: [], ops: [put('/3', 'y')] });
    await settled();
    expect(told).toEqual([]);
    expect(whole.isCurrent).toBe(false);
    sealing.come();
    for (let turn = 0; turn < 4; turn++) await settled();
    expect(told.filter((line) => line.startsWith('all'))).toEqual(['all x@1', 'all y@2', 'all y@3']);
    expect(told.filter((line) => line.startsWith('y'))).toEqual(['y y@2', 'y y@3']);
    expect(whole.isCurrent).toBe(true);
  });

  it('ends a watch that comes upon what cannot be read, once', async () => {
    const inner = createFakeStore();
    const store = new SealedStore(inner, turning());
    const ends: string[] = [];
    store.watch('/', 0, () => expect.fail('nothing can be told'), {
      onEnd: (error) => ends.push(error.message),
    });
    await inner.commit({ expect: [], ops: [put('/1', 'zrubbish')] });
    await inner.commit({ expect: [], ops: [put('/2', 'zrubbish')] });
    expect(ends).toEqual(['no key z']);
  });
});
