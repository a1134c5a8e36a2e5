import { expect, it } from 'vitest';
import type { Pod, Service } from '#api/generated/objects.ts';
import { triggerTimeAnnotation } from '#api/meta/trigger-time.ts';
import { TriggerTimes, withTriggerTime } from './trigger-times.ts';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const service = (second: number): Service => ({ metadata: { creationTimestamp: at(second) } });
const pod = (name: string, second?: number): Pod => ({
  metadata: { name },
  status: {
    conditions:
      second === undefined ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: at(second) }],
  },
});

// The rows of upstream's TestTriggerTimeTracker, and what it does with pods that were never ready.
it.each([
  { name: 'a new Service without pods', looks: [[2, []]], want: [2] },
  { name: 'a new Service of older and younger pods', looks: [[3, [pod('a', 0), pod('b', 5)]]], want: [3] },
  {
    name: 'pods that come',
    looks: [
      [0, []],
      [0, [pod('a', 2), pod('b', 1)]],
    ],
    want: [0, 1],
  },
  {
    name: 'pods of which one changes',
    looks: [
      [0, [pod('a', 1), pod('b', 2)]],
      [0, [pod('a', 1), pod('b', 4)]],
    ],
    want: [0, 4],
  },
  {
    name: 'several changes',
    looks: [
      [0, [pod('a', 1)]],
      [0, [pod('a', 3), pod('b', 2)]],
    ],
    want: [0, 2],
  },
  {
    name: 'a pod that goes',
    looks: [
      [0, [pod('a', 1)]],
      [0, []],
    ],
    want: [0, undefined],
  },
  {
    name: 'a pod of a name that was there',
    looks: [
      [0, [pod('a', 1)]],
      [0, []],
      [0, [pod('a', 1)]],
    ],
    want: [0, undefined, 1],
  },
  {
    name: 'a Service that was made anew',
    looks: [
      [0, [pod('a', 1)]],
      [5, [pod('a', 1)]],
    ],
    want: [0, 5],
  },
  {
    name: 'a pod that was never ready',
    looks: [
      [0, []],
      [0, [pod('a')]],
    ],
    want: [0, undefined],
  },
] satisfies readonly {
  name: string;
  looks: readonly (readonly [number, readonly Pod[]])[];
  want: readonly (number | undefined)[];
}[])('TriggerTimes tells since when there is news: $name', ({ looks, want }) => {
  const times = new TriggerTimes();
  const told = looks.map(([second, pods]) => times.take('default/s', service(second), pods));
  expect(told).toEqual(want.map((second) => (second === undefined ? undefined : Date.parse(at(second)))));
});

it('withTriggerTime() puts the time beside other annotations, and takes an old one away', () => {
  const stamped = withTriggerTime({ x: 'y' }, Date.UTC(2026, 0, 1));
  expect(stamped).toEqual({ x: 'y', [triggerTimeAnnotation]: '2026-01-01T00:00:00Z' });
  expect(withTriggerTime(stamped, undefined)).toEqual({ x: 'y' });
  expect(withTriggerTime({ [triggerTimeAnnotation]: 'x' }, undefined)).toBeUndefined();
});
