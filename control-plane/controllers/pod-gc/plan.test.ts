import { expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { planPodGc } from './plan.ts';

const podOf = (name: string, nodeName: string, isTerminating: boolean): Pod => ({
  metadata: { name, ...(isTerminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
  spec: { containers: [], nodeName },
});

it('planPodGc() takes pods that were deleted from nodes that are out of service, and no others', () => {
  const pods = [
    podOf('a', 'off', true),
    podOf('b', 'off', false),
    podOf('c', 'on', true),
    podOf('d', 'gone', true),
  ];
  const plan = planPodGc(pods, { isGone: (name) => name === 'gone', isOff: (name) => name !== 'on' });
  const names = (list: readonly Pod[]): readonly string[] => list.map(({ metadata }) => metadata?.name ?? '');
  expect([names(plan.stranded), names(plan.orphaned)]).toEqual([['a'], ['d']]);
});
