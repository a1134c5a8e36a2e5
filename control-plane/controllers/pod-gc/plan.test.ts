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

it('planPodGc() takes of the finished ones beyond the limit those that were evicted, then the oldest', () => {
  const finished = (name: string, day: number, reason?: string): Pod => ({
    metadata: { name, creationTimestamp: `2026-01-0${day}T00:00:00Z` },
    status: { phase: 'Failed', reason },
  });
  const pods = [finished('older', 1), finished('old', 2), finished('evicted', 3, 'Evicted')];
  const isNever = () => false;
  const taken = (limit: number) =>
    planPodGc(pods, { isGone: isNever, isOff: isNever }, limit).finished.map(
      ({ metadata }) => metadata?.name,
    );
  expect([taken(2), taken(1)]).toEqual([['evicted'], ['evicted', 'older']]);
});
