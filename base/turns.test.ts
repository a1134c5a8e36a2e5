import { expect, it } from 'vitest';
import { createTurns } from './turns.ts';

it('take() waits for the earlier turns of the key, in order, and for no other key', async () => {
  const turns = createTurns();
  const seen: string[] = [];
  const first = await turns.take('a');
  const later = ['2', '3'].map(async (name) => {
    using _turn = await turns.take('a');

    seen.push(name);
    await Promise.resolve();
    seen.push(`${name} ends`);
  });
  using _other = await turns.take('b');

  seen.push('1');
  first[Symbol.dispose]();
  await Promise.all(later);
  expect(seen).toEqual(['1', '2', '2 ends', '3', '3 ends']);
});

it('a turn that failed is over all the same', async () => {
  const turns = createTurns();
  const failing = async (): Promise<void> => {
    using _turn = await turns.take('a');

    throw new Error('no');
  };
  await expect(failing()).rejects.toThrow('no');
  using turn = await turns.take('a');

  expect(turn).toBeDefined();
});
