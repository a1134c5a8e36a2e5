import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { filesOfOtherDays, ofToday } from './days-turn.ts';

const dayMs = 86_400_000;

test('five days run each file once', () => {
  const days = [0, 1, 2, 3, 4].map((day) => new Set(filesOfOtherDays(day * dayMs + 1, ['run'], {})));
  for (const file of new Set(days.flatMap((left) => [...left]))) {
    expect(existsSync(join(repositoryRoot, file)), file).toBe(true);
    expect(
      days.filter((left) => !left.has(file)),
      file,
    ).toHaveLength(1);
  }
});

test.each([
  { name: 'a name', args: ['run', 'test/cluster/families'], environment: {} },
  { name: 'PODWRIGHT_ALL=1', args: ['run'], environment: { PODWRIGHT_ALL: '1' } },
])('$name runs all', ({ args, environment }) => {
  expect(filesOfOtherDays(0, args, environment)).toEqual([]);
});

test('options alone ask for none by name', () => {
  expect(filesOfOtherDays(0, ['run', '--reporter=json'], {})).not.toEqual([]);
});

test('each of many has its turn once in so many days', () => {
  const items = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  vi.stubEnv('PODWRIGHT_ALL', '');
  const turns = [0, 1, 2].map((day) => ofToday(items, 3, day * dayMs + 1));
  expect(turns.flat().toSorted()).toEqual(items);
  expect(turns.every((turn) => turn.length > 0)).toBe(true);
  vi.stubEnv('PODWRIGHT_ALL', '1');
  expect(ofToday(items, 3)).toEqual(items);
  vi.unstubAllEnvs();
});
