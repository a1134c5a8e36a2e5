import { describe, expect, it } from 'vitest';
import {
  agedImages,
  bytesToFree,
  defaultImageGcPolicy,
  insufficientMessage,
  observeImages,
  removableImages,
  type ImageUse,
} from './image-gc.ts';

const minute = 60_000;
const now = 1_000 * minute;
const use = (id: string, detectedMs: number, lastUsedMs = 0): ImageUse => ({ id, detectedMs, lastUsedMs });
const idsOf = (images: Iterable<ImageUse>): readonly string[] => [...images].map(({ id }) => id);

describe('observeImages()', () => {
  it('takes images of the first look as old, and those that come later as new', () => {
    const seen = { ids: ['a', 'b'], used: new Set(['b']) };
    const first = observeImages(new Map(), { ...seen, isFirst: true }, now);
    expect([...first.values()]).toEqual([use('a', 0), use('b', 0, now)]);
    const second = observeImages(first, { ids: ['b', 'c'], used: new Set(), isFirst: false }, now + 1);
    expect([...second.values()]).toEqual([use('b', 0, now), use('c', now + 1)]);
  });
});

describe('removableImages()', () => {
  it.each([
    { name: 'none that is used now', images: [use('a', 0, now)], want: [] },
    { name: 'none that is too young', images: [use('a', now - minute)], want: [] },
    { name: 'one of just the least age', images: [use('a', now - 2 * minute)], want: ['a'] },
    {
      name: 'the one unused for longest first, then the older one',
      images: [use('late', 1, now - 1), use('early', 1, 5), use('young', 9), use('old', 8)],
      want: ['old', 'young', 'early', 'late'],
    },
  ])('$name', ({ images, want }) => {
    expect(idsOf(removableImages(images, defaultImageGcPolicy, now))).toEqual(want);
  });
});

describe('agedImages()', () => {
  const images = [
    use('never', 0),
    use('long ago', 0, now - 61 * minute),
    use('lately', 0, now - 59 * minute),
    use('new', now - minute),
  ];
  it.each([
    { name: 'none where no age is set', maxAgeMs: 0, startedMs: 0, want: [] },
    {
      name: 'none by an agent that is younger than that',
      maxAgeMs: 60 * minute,
      startedMs: now - 60 * minute,
      want: [],
    },
    {
      name: 'those unused for longer',
      maxAgeMs: 60 * minute,
      startedMs: now - 61 * minute,
      want: ['never', 'long ago'],
    },
  ])('$name', ({ maxAgeMs, startedMs, want }) => {
    expect(idsOf(agedImages(images, { maxAgeMs }, { now, startedMs }))).toEqual(want);
  });
});

describe('bytesToFree()', () => {
  it.each([
    { used: 84, high: 85, low: 80, want: 0 },
    { used: 85, high: 85, low: 80, want: 50 },
    { used: 99, high: 85, low: 80, want: 190 },
    { used: 99, high: 100, low: 80, want: 0 },
    { used: 10, high: 5, low: 0, want: 100 },
  ])('$used % used, between $low and $high: $want', ({ used, high, low, want }) => {
    const policy = { ...defaultImageGcPolicy, highThresholdPercent: high, lowThresholdPercent: low };
    expect(bytesToFree({ bytes: 1000, availableBytes: 1000 - used * 10 }, policy)).toBe(want);
  });
});

it('says in the words of the kubelet what could not be freed', () => {
  const gib = 1024 ** 3;
  expect(insufficientMessage({ bytes: 10 * gib, availableBytes: gib }, 123)).toMatch(
    /^Insufficient free disk space on the node's image filesystem \(90% of 10\.0 GiB used\)\. Failed to free .* \(freed 123 bytes\)\. /,
  );
});
