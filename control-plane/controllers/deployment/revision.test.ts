import { expect, it } from 'vitest';
import type { ReplicaSet } from '#api/generated/objects.ts';
import { newReplicaSetAnnotations, revisionOf } from './revision.ts';

const replicaSet = (revision?: string): ReplicaSet => ({
  metadata: {
    annotations: revision === undefined ? {} : { 'deployment.kubernetes.io/revision': revision },
  },
});

it.each([
  [undefined, 0n],
  ['7', 7n],
  ['3546343826724305832', 3546343826724305832n],
  ['9223372036854775808', 0n], // one more than an int64 holds
  ['-1', 0n],
  ['x', 0n],
])('revisionOf() reads %j as %s', (text, want) => {
  expect(revisionOf(replicaSet(text))).toBe(want);
});

it('newReplicaSetAnnotations() goes on from the revision of an adopted ReplicaSet, whatever its size', () => {
  const annotations = newReplicaSetAnnotations({}, undefined, [
    replicaSet('3546343826724305832'),
    replicaSet('2'),
  ]);
  expect(annotations['deployment.kubernetes.io/revision']).toBe('3546343826724305833');
});
