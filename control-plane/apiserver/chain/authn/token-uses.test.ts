import { expect, it } from 'vitest';
import { annotationOf, legacyUse, renewalUse } from './token-uses.ts';

it('a token that is late says by how much, and one that is not is counted alone', () => {
  const subject = 'system:serviceaccount:n:a';
  const noted = (nowMs: number): unknown => renewalUse(100, { subject, nowMs }).map(annotationOf);
  expect(noted(100_000)).toEqual([undefined]);
  expect(noted(100_001)).toEqual([
    ['authentication.k8s.io/stale-token', `subject: ${subject}, seconds after warning threshold: 0`],
  ]);
  expect(noted(161_999)).toEqual([
    ['authentication.k8s.io/stale-token', `subject: ${subject}, seconds after warning threshold: 61`],
  ]);
});

it.each([
  [{ sub: 'a' }, 1],
  [{ sub: 'a', aud: [] }, 1],
  [{ sub: 'a', aud: ['x'] }, 0],
  [{ sub: 'a', aud: 'x' }, 0],
])('%j knows no audience: %i', (payload, count) => {
  expect(legacyUse(payload)).toHaveLength(count);
});
