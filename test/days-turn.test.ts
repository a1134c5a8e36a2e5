import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { filesOfOtherDays } from './days-turn.ts';

const dayMs = 86_400_000;

test('three days run each file once', () => {
  const days = [0, 1, 2].map((day) => new Set(filesOfOtherDays(day * dayMs + 1, ['run'], {})));
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
