import { describe, expect, it } from 'vitest';
import { sortedJson } from './sorted-json.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

function randoms(start: number): () => number {
  let state = start;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function valueOf(random: () => number, depth: number): unknown {
  const choice = Math.floor(random() * (depth > 3 ? 4 : 6));
  const texts = ['', '10', '9', 'a', 'ä', '<&>', '\u2028', '"\\', '__proto__', 'constructor'];
  const text = (): string => texts[Math.floor(random() * texts.length)] ?? '';
  const many = Math.floor(random() * 5);
  switch (choice) {
    case 0:
      return null;
    case 1:
      return Math.round(random() * 1000) / 10;
    case 2:
      return random() < 0.5;
    case 3:
      return text();
    case 4:
      return Array.from({ length: many }, () => valueOf(random, depth + 1));
    default:
      return Object.fromEntries(Array.from({ length: many }, () => [text(), valueOf(random, depth + 1)]));
  }
}

describe('sortedJson()', () => {
  it('has members by the alphabet, whatever their names look like', () => {
    expect(sortedJson({ b: { '10': 1, '9': 2, a: undefined }, a: ['<'] })).toBe(
      '{"a":["\\u003c"],"b":{"10":1,"9":2}}',
    );
  });

  it(`says what JSON says, and the same of the same (SEED=${seed})`, () => {
    const random = randoms(seed);
    for (let run = 0; run < 2_000; run++) {
      const value = valueOf(random, 0);
      const text = sortedJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(sortedJson(JSON.parse(text))).toBe(text);
    }
  });
});
