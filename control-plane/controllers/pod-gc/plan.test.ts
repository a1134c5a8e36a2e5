import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { planPodGc, type PodGcPlan } from './plan.ts';

type Metadata = NonNullable<Pod['metadata']>;

/** Made on a day of January 2026, and as it says: `going`: deletion was asked for; `held`: at once, and a finalizer is left. */
function podOf(
  name: string,
  { day = 1, phase = 'Running', reason = '', on = 'on', is = '' }: Given = {},
): Pod {
  const going: Partial<Metadata> = is === '' ? {} : { deletionTimestamp: '2026-02-01T00:00:00Z' };
  const held = { deletionGracePeriodSeconds: 0, finalizers: ['a.b/c'] };
  const creationTimestamp = `2026-01-${String(day).padStart(2, '0')}T00:00:00Z`;
  return {
    metadata: { name, creationTimestamp, ...going, ...(is === 'held' ? held : {}) },
    spec: { containers: [], nodeName: on },
    status: { phase, ...(reason === '' ? {} : { reason }) },
  };
}

interface Given {
  readonly day?: number;
  readonly phase?: NonNullable<Pod['status']>['phase'];
  readonly reason?: string;
  /** Node `gone` is gone, `off` is out of service. */
  readonly on?: string;
  readonly is?: '' | 'going' | 'held';
}

function told(plan: PodGcPlan): Readonly<Record<string, string>> {
  const lists = Object.entries(plan).map(([kind, list]: readonly [string, readonly Pod[]]) => [
    kind,
    list.map(({ metadata }) => metadata?.name).join(' '),
  ]);
  return Object.fromEntries(lists.filter(([, names]) => names !== ''));
}

const planOf = (pods: readonly Pod[], limit?: number): Readonly<Record<string, string>> =>
  told(planPodGc(pods, { isGone: (name) => name === 'gone', isOff: (name) => name === 'off' }, limit));

const [ended, failed] = [{ phase: 'Succeeded' }, { phase: 'Failed' }] as const;

describe('planPodGc(): finished ones', () => {
  const three = [podOf('a', failed), podOf('b', { ...ended, day: 2 }), podOf('c', { ...failed, day: 3 })];
  it.each<{
    readonly name: string;
    readonly pods: readonly Pod[];
    readonly limit: number;
    readonly want: string;
  }>([
    { name: 'beyond the limit, the oldest', pods: three, limit: 1, want: 'a b' },
    { name: 'none within the limit', pods: three, limit: 5, want: '' },
    { name: 'none that runs', pods: [podOf('r'), ...three.slice(1)], limit: 1, want: 'b' },
    {
      name: 'those that were evicted first',
      pods: [...three.slice(0, 2), podOf('c', { ...failed, day: 3, reason: 'Evicted' })],
      limit: 1,
      want: 'c a',
    },
    {
      name: 'none again that only finalizers hold',
      pods: [podOf('a', { ...ended, is: 'held' }), podOf('b', { ...failed, is: 'held' })],
      limit: 1,
      want: '',
    },
    {
      name: 'as many as are too many with those that finalizers hold',
      pods: [podOf('a', { ...ended, is: 'held' }), podOf('b', { ...failed, is: 'held' }), podOf('c', ended)],
      limit: 2,
      want: 'c',
    },
    {
      name: 'those whose end is not asked for at once',
      pods: [
        podOf('a', { ...ended, is: 'going' }),
        podOf('b', { ...ended, day: 2 }),
        podOf('c', { ...ended, day: 3 }),
      ],
      limit: 1,
      want: 'a b',
    },
  ])('$name', ({ pods, limit, want }) => {
    expect(planOf(pods, limit)).toEqual(want === '' ? {} : { finished: want });
  });
});

it.each<{ readonly name: string; readonly given: Given; readonly want: object }>([
  { name: 'runs on a node that is gone', given: { on: 'gone' }, want: { orphaned: 'p' } },
  { name: 'ended on a node that is gone', given: { ...ended, on: 'gone' }, want: { orphaned: 'p' } },
  { name: 'waits there for its finalizers', given: { ...ended, on: 'gone', is: 'held' }, want: {} },
  { name: 'goes on a node that is gone', given: { on: 'gone', is: 'going' }, want: { orphaned: 'p' } },
  { name: 'goes without a node', given: { on: '', is: 'going' }, want: { unscheduled: 'p' } },
  {
    name: 'ended and goes without a node',
    given: { ...ended, on: '', is: 'going' },
    want: { unscheduled: 'p' },
  },
  { name: 'did not end, and goes without a node', given: { on: '', is: 'held' }, want: { unscheduled: 'p' } },
  { name: 'waits without a node for its finalizers', given: { ...failed, on: '', is: 'held' }, want: {} },
  { name: 'has no node, and does not go', given: { ...failed, on: '' }, want: {} },
  { name: 'goes on a node', given: { on: 'on', is: 'going' }, want: {} },
  { name: 'runs on a node that is off', given: { on: 'off' }, want: {} },
  { name: 'goes on a node that is off', given: { on: 'off', is: 'going' }, want: { stranded: 'p' } },
  {
    name: 'ended and goes on a node that is off',
    given: { ...ended, on: 'off', is: 'going' },
    want: { stranded: 'p' },
  },
  { name: 'waits there for its finalizers, too', given: { ...failed, on: 'off', is: 'held' }, want: {} },
  { name: 'did not end there', given: { on: 'off', is: 'held' }, want: { stranded: 'p' } },
])('planPodGc() of a pod that $name', ({ given, want }) => {
  expect(planOf([podOf('p', given)])).toEqual(want);
});
