import { expect, test } from 'vitest';
import { settleAll } from './settle-all.ts';

test('settleAll() gives every value', async () => {
  expect(await settleAll([Promise.resolve(1), Promise.resolve('two')])).toEqual([1, 'two']);
});

test('settleAll() throws only when nothing is under way any more', async () => {
  const slow = Promise.withResolvers<void>();
  let isThrown = false;
  const all = settleAll([Promise.reject(new Error('first')), slow.promise]).catch((error: unknown) => {
    isThrown = true;
    throw error;
  });
  await new Promise(setImmediate);
  expect(isThrown).toBe(false);
  slow.resolve();
  await expect(all).rejects.toThrow('first');
});
