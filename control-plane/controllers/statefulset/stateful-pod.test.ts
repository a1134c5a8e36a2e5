import { expect, it } from 'vitest';
import type { Pod, StatefulSet } from '#api/generated/objects.ts';
import { planIdentities, statefulPod } from './stateful-pod.ts';

const set: StatefulSet = {
  metadata: { name: 'set', namespace: 'default', uid: 'set' },
  spec: { replicas: 2, ordinals: { start: 1 }, selector: {}, template: {} },
};
const made = (ordinal: number): Pod => statefulPod(set, {}, { ordinal, revision: 'r' });

it('a pod of a StatefulSet has its name, and the start of it, as a 1.36 makes it', () => {
  expect(made(1).metadata).toMatchObject({ name: 'set-1', generateName: 'set-' });
});

it('pods that have lost what Services know them by get it again, but for those that go or are too many', () => {
  const lost = (pod: Pod, metadata: Pod['metadata'] = {}): Pod => ({
    ...pod,
    metadata: { ...pod.metadata, labels: { 'apps.kubernetes.io/pod-index': '7' }, ...metadata },
  });
  expect(planIdentities(set, [made(1), made(2)])).toEqual([]);
  const pods = [lost(made(1)), lost(made(2), { deletionTimestamp: 'x' }), lost(made(3))];
  expect(planIdentities(set, pods).map(({ pod, labels }) => [pod.metadata?.name, labels])).toEqual([
    ['set-1', { 'statefulset.kubernetes.io/pod-name': 'set-1', 'apps.kubernetes.io/pod-index': '1' }],
  ]);
});
