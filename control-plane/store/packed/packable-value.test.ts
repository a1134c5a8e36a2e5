import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { Mvcc } from '#control-plane/store/mvcc.ts';
import { kept, packableBytesMin, PackableValue } from './packable-value.ts';
import { packIdleValues } from './value-packer.ts';

const long = (): Uint8Array => Buffer.from('a definition, '.repeat(2000));

it('a long value that nobody reads is packed, and is what it was to who reads it', async () => {
  const value = new PackableValue(long());
  await value.rest();
  expect(value.isPacked).toBe(false);
  await value.rest();
  expect(value.isPacked).toBe(true);
  expect(Buffer.from(value.bytes)).toEqual(long());
  expect(value.isPacked).toBe(false);
  await value.rest();
  await value.rest();
  expect(value.isPacked).toBe(true);
  expect(Buffer.from(value.bytes)).toEqual(long());
});

it('whoever has the bytes is given the same again', async () => {
  const bytes = long();
  const value = new PackableValue(bytes);
  await value.rest();
  await value.rest();
  expect(value.isPacked).toBe(true);
  expect(value.bytes).toBe(bytes);
});

it('what was read since stays, and so does what is no smaller', async () => {
  const read = new PackableValue(long());
  for (let round = 0; round < 5; round++) {
    await read.rest();
    expect(read.bytes.byteLength).toBe(read.byteLength);
  }
  expect(read.isPacked).toBe(false);
  const random = new PackableValue(randomBytes(50_000));
  for (let round = 0; round < 5; round++) await random.rest();
  expect(random.isPacked).toBe(false);
  expect(kept(new Uint8Array(packableBytesMin - 1))).toBeInstanceOf(Uint8Array);
});

it('an index packs the values of all its versions, and forgets those that are gone', async () => {
  const clock = createFakeClock();
  const mvcc = new Mvcc();
  using _packing = packIdleValues(clock, () => mvcc.packable);
  const put = (key: string): void => {
    mvcc.stage({ expect: [], ops: [{ op: 'put', key, value: long() }] });
    mvcc.settle(mvcc.assignedRevision);
  };
  put('/registry/a');
  put('/registry/a');
  put('/registry/b');
  await expect
    .poll(() => {
      clock.advance(2000);
      return [...mvcc.packable].map(({ isPacked }) => isPacked);
    })
    .toEqual([true, true, true]);
  const stored = mvcc.get('/registry/a');
  expect([...mvcc.packable].every(({ isPacked }) => isPacked)).toBe(true); // Nobody has asked for the bytes yet.
  expect(Buffer.from(stored?.value ?? [])).toEqual(long());
  for (const _gone of mvcc.compact(mvcc.revision, 10));
  expect([...mvcc.packable]).toHaveLength(2);
});
