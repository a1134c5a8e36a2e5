import { expect, it } from 'vitest';
import { Visits } from './visits.ts';

it('Visits tells a few at once, and many in turns of their own, as they are asked for', async () => {
  const told: string[] = [];
  let asked = 0;
  const ids = function* (count: number) {
    for (let index = 0; index < count; index++) {
      asked += 1;
      yield String(index);
    }
  };
  const visits = new Visits((id) => told.push(id));
  visits.add(ids(3));
  expect(told).toEqual(['0', '1', '2']);
  await visits.idle();
  visits.add(ids(200_000));
  expect(asked).toBeLessThan(200_000);
  visits.add(ids(1));
  expect(told.at(-1)).toBe('0');
  await visits.idle();
  expect(told).toHaveLength(200_004);
});
