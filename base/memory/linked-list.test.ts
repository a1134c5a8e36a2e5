import { expect, test } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { LinkedList, type Place } from './linked-list.ts';

test('has what a Set has, in its order, whatever is added and removed', () => {
  const random = createRandom(7);
  const list = new LinkedList<number>();
  const model = new Set<number>();
  const places: Place<number>[] = [];
  for (let step = 0; step < 2_000; step++) {
    if (random() < 0.55) {
      places.push(list.add(step));
      model.add(step);
    } else {
      const place = places[Math.floor(random() * places.length)];
      if (place !== undefined) expect(list.remove(place)).toBe(model.delete(place.value));
    }
    expect(list.size).toBe(model.size);
    expect(list.first).toBe([...model][0]);
  }
  expect([...list]).toEqual([...model]);
});

test('goes through its places while others are taken out', () => {
  const list = new LinkedList<number>();
  const places = Array.from({ length: 6 }, (_, index) => list.add(index));
  const seen: number[] = [];
  for (const place of list.places()) {
    seen.push(place.value);
    for (const other of [place, places[place.value + 1]]) if (other !== undefined) list.remove(other);
  }
  expect(seen).toEqual([0, 2, 4]);
  expect([...list]).toEqual([]);
});
