import { expect, it } from 'vitest';
import { compareVersions } from './version-order.ts';

it('compareVersions() has the stable and the newest first, and what is no version last', () => {
  const ordered = [
    'v10',
    'v2',
    'v1',
    'v11beta2',
    'v10beta3',
    'v3beta1',
    'v12alpha1',
    'v11alpha2',
    'foo1',
    'foo10',
    'v0',
  ];
  expect(ordered.toReversed().toSorted(compareVersions)).toEqual(ordered);
  expect(compareVersions('v1', 'v1')).toBe(0);
});
