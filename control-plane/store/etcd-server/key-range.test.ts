import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { decodeKey, decodeRange, isInRange, prefixOfRange } from './key-range.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('decodeRange()', () => {
  it.each([
    { key: 'a', end: '', want: { from: 'a', to: 'a\0' } },
    { key: 'a', end: 'b', want: { from: 'a', to: 'b' } },
    { key: 'a', end: '\0', want: { from: 'a', to: undefined } },
    { key: '\0', end: '\0', want: { from: '\0', to: undefined } },
    { key: 'k2', end: 'k3\xff', want: { from: 'k2', to: 'k3\uffff' } },
    { key: '\xff', end: '', want: { from: '', to: '' } },
    { key: '/\x80', end: '/\xc4', want: { from: '/\u0080', to: '/\u0100' } },
  ])('reads $key to $end', ({ key, end, want }) => {
    expect(decodeRange(bytes(key), bytes(end))).toEqual(want);
  });

  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

  it(`holds the keys that their bytes say, whatever the ends (SEED=${seed})`, () => {
    const draw = createRandom(seed);
    const random = (below: number): number => Math.floor(draw() * below);
    const characters = [
      'a',
      '\u0001',
      '\u007f',
      '\u0080',
      '\u07ff',
      '\u0800',
      '\ud7ff',
      '\ue000',
      '\ufffd',
      '\ufffe',
    ];
    const edges = [0, 1, 0x61, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xff];
    const drawn = <T>(of: readonly T[]): readonly T[] =>
      Array.from({ length: random(4) }, () => of[random(of.length)] as T);
    for (let round = 0; round < 20_000; round++) {
      const key = `k${drawn(characters).join('')}`;
      const [from, to] = [0, 1].map(() =>
        Buffer.concat([Buffer.from('k'), Buffer.from(drawn(characters).join('')), Buffer.from(drawn(edges))]),
      );
      if (from === undefined || to === undefined) continue;
      const own = Buffer.from(key);
      const want = Buffer.compare(own, from) >= 0 && Buffer.compare(own, to) < 0;
      const range = decodeRange(from, to);
      expect([key, from, to, isInRange(range, key)]).toEqual([key, from, to, want]);
      if (want) expect(key.startsWith(prefixOfRange(range))).toBe(true);
    }
  });
});

describe('prefixOfRange()', () => {
  it.each([
    { key: '/a/', end: '/a0', want: '/a/' },
    { key: '/a', end: '', want: '/a' },
    { key: '/ab', end: '/ad', want: '/a' },
    { key: '/a', end: '\0', want: '' },
  ])('$key to $end: $want', ({ key, end, want }) => {
    expect(prefixOfRange(decodeRange(bytes(key), bytes(end)))).toBe(want);
  });
});

describe('decodeKey()', () => {
  it.each([
    { key: Buffer.from('/registry/pods/ü'), want: '/registry/pods/ü' },
    { key: bytes('a\0'), want: undefined },
    { key: bytes('\xff'), want: undefined },
    { key: Buffer.from('😀'), want: undefined },
    { key: Buffer.from('\uffff'), want: undefined },
    { key: Buffer.from('\ufeffa'), want: '\ufeffa' },
  ])('$key: $want', ({ key, want }) => {
    expect(decodeKey(key)).toBe(want);
  });
});
