import { createRandom } from '#base/random.fixture.ts';

/** Chance of a seed, as those who plan worlds ask for it. */
export interface Dice {
  /** That it falls so, of `part` of all times. */
  chance(part: number): boolean;
  /** A whole number, both ends among them. */
  between(low: number, high: number): number;
  oneOf<T>(all: readonly [T, ...T[]]): T;
  /** Makes one of what has a weight each. */
  weighted<T>(all: readonly Weighted<T>[]): T;
}

export type Weighted<T> = readonly [weight: number, make: () => T];

export function createDice(seed: number): Dice {
  const random = createRandom(seed);
  const between = (low: number, high: number): number => Math.floor(low + random() * (high - low + 1));
  return {
    chance: (part) => random() < part,
    between,
    oneOf: (all) => all[between(0, all.length - 1)] ?? all[0],
    weighted: (all) => {
      let left = random() * all.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, make] of all) {
        left -= weight;
        if (left < 0) return make();
      }
      throw new RangeError('choose one by its weight: there is none');
    },
  };
}
