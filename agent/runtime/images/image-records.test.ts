import { describe, expect, it } from 'vitest';
import { mergeImages, planGarbage, type StoredImage } from './image-records.ts';

function image(id: string, change: Partial<StoredImage> = {}): StoredImage {
  return {
    id,
    names: [`${id}:latest`],
    digests: [],
    sizeBytes: 1,
    createdAtMs: 0,
    user: '',
    layerIds: ['base', `layer-${id}`],
    manifests: [`manifest-${id}`],
    ...change,
  };
}

describe('mergeImages()', () => {
  it('adds names to an image that is known', () => {
    const [merged] = mergeImages([image('a')], [image('a', { names: ['other:latest'] })]);
    expect(merged?.names).toEqual(['a:latest', 'other:latest']);
  });

  it('moves a name, and leaves its old image without one', () => {
    const merged = mergeImages([image('a')], [image('b', { names: ['a:latest'] })]);
    expect(merged.map(({ id, names }) => [id, names])).toEqual([
      ['a', []],
      ['b', ['a:latest']],
    ]);
  });
});

describe('planGarbage()', () => {
  const present = {
    presentLayers: ['base', 'layer-a', 'layer-b', 'stray'],
    presentBlobs: ['a', 'manifest-a', 'b', 'manifest-b'],
  };

  it('is what no image reaches', () => {
    expect(planGarbage({ images: [image('a')], pinnedLayers: new Set(), ...present })).toEqual({
      layers: ['layer-b', 'stray'],
      blobs: ['b', 'manifest-b'],
    });
  });

  it('spares what containers use', () => {
    const { layers } = planGarbage({ images: [], pinnedLayers: new Set(['base', 'layer-b']), ...present });
    expect(layers).toEqual(['layer-a', 'stray']);
  });
});
