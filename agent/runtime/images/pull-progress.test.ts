import { expect, it } from 'vitest';
import { countPull, type PullProgress } from './pull-progress.ts';

it('what has come of an image is told from the beginning, whatever is begun again', () => {
  const told: PullProgress[] = [];
  const count = countPull([{ sizeBytes: 100 }, { sizeBytes: 50 }], (progress) => void told.push(progress));
  count.came(0, 60);
  count.came(0, 10); // The connection broke, and the server sends all of it again.
  count.done(1); // It was here.
  count.came(0, 120);
  count.done(0);
  expect(told.map(({ layersDone, bytesDone }) => [layersDone, bytesDone])).toEqual([
    ...[
      [0, 0],
      [0, 60],
      [0, 10],
      [1, 60],
      [1, 150],
      [2, 150],
    ],
  ]);
  expect(told[0]).toMatchObject({ layers: 2, bytes: 150 });
});
