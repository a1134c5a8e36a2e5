import { describe, expect, it } from 'vitest';
import type { Pod, PodDisruptionBudget } from '#api/generated/objects.ts';
import { createFakeClock } from '#base/clock.ts';
import { FirstSeen } from './first-seen.ts';
import { awaitedTarget, planBudget } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2);
const ago = (seconds: number): string => new Date(nowMs - seconds * 1000).toISOString();

/** `a` is ready, `a!` is not, `a-` terminates; `a@set` is of a controller. */
function podOf(text: string): Pod {
  const [, name = '', marks = '', owner] = /^(\w+)([!-]*)(?:@(\w+))?$/.exec(text) ?? [];
  const controller = { apiVersion: 'v1', kind: 'Set', name: owner ?? '', uid: owner ?? '', controller: true };
  return {
    metadata: {
      name,
      namespace: 'default',
      ...(owner === undefined ? {} : { ownerReferences: [controller] }),
      ...(marks.includes('-') ? { deletionTimestamp: ago(1) } : {}),
    },
    status: { conditions: [{ type: 'Ready', status: marks.includes('!') ? 'False' : 'True' }] },
  };
}

const rows: readonly {
  readonly name: string;
  readonly spec: PodDisruptionBudget['spec'];
  readonly pods: string;
  /** Who was evicted, and when by the server's clock. */
  readonly disrupted?: Readonly<Record<string, string>>;
  /** For how many seconds that is known. */
  readonly known?: number;
  /** healthy/desired of expected, allowed */
  readonly want: string;
}[] = [
  { name: 'a number that must stay', spec: { minAvailable: 1 }, pods: 'a b c', want: '3/1 of 3, 2' },
  { name: 'only ready pods count', spec: { minAvailable: 1 }, pods: 'a b! c-', want: '1/1 of 3, 0' },
  { name: 'no pods, no room', spec: { minAvailable: 0 }, pods: '', want: '0/0 of 0, 0' },
  {
    name: 'a share of what there should be, rounded up',
    spec: { minAvailable: '50%' },
    pods: 'a@five b@five',
    want: '2/3 of 5, 0',
  },
  {
    name: 'each controller counts once',
    spec: { maxUnavailable: 1 },
    pods: 'a@five b@five c@two',
    want: '3/6 of 7, 0',
  },
  {
    name: 'a share that may miss, rounded up',
    spec: { maxUnavailable: '10%' },
    pods: 'a@two b@two',
    want: '2/1 of 2, 1',
  },
  { name: 'more may miss than there are', spec: { maxUnavailable: 9 }, pods: 'a@two', want: '1/0 of 2, 1' },
  {
    name: 'an evicted pod is as good as gone',
    spec: { minAvailable: 1 },
    pods: 'a b',
    disrupted: { a: ago(119), z: ago(1) },
    known: 119,
    want: '1/1 of 2, 0; a again 1000',
  },
  {
    name: 'an evicted pod is as good as gone, whatever time the server had',
    spec: { minAvailable: 1 },
    pods: 'a b',
    disrupted: { a: ago(600) },
    known: 0,
    want: '1/1 of 2, 0; a again 120000',
  },
  {
    name: 'an evicted pod that stays is not',
    spec: { minAvailable: 1 },
    pods: 'a b',
    disrupted: { a: ago(-600) },
    known: 121,
    want: '2/1 of 2, 1; kept a',
  },
  {
    name: 'pods without a controller',
    spec: { maxUnavailable: 1 },
    pods: 'a@two b',
    want: '2/1 of 2, 1; alone b',
  },
  {
    name: 'a controller that is gone',
    spec: { maxUnavailable: 1 },
    pods: 'a@none',
    want: '0/0 of 0, 0; found no controllers for pod "a"',
  },
  {
    name: 'a controller without scale',
    spec: { minAvailable: '1%' },
    pods: 'a@odd',
    want: '0/0 of 0, 0; odd',
  },
];

describe('planBudget()', () => {
  it.each(rows)('$name', ({ spec, pods, disrupted, known = 0, want }) => {
    const scales: Readonly<Record<string, number>> = { five: 5, two: 2 };
    const plan = planBudget({
      budget: { metadata: { generation: 3 }, spec, status: { disruptedPods: disrupted } },
      pods: pods.split(' ').filter(Boolean).map(podOf),
      scaleOf: ({ uid }) => {
        const replicas = scales[uid];
        if (replicas !== undefined) return { uid, replicas };
        return uid === 'odd' ? 'odd' : undefined;
      },
      waited: new Map(Object.keys(disrupted ?? {}).map((pod) => [pod, known * 1000])),
      nowMs,
    });
    const { status, failure, unmanaged, notDeleted, againMs } = plan;
    const names = (list: readonly Pod[]): string => list.map(({ metadata }) => metadata?.name).join(' ');
    const more = [
      ...(failure === undefined ? [] : [failure]),
      ...(againMs === undefined
        ? []
        : [`${Object.keys(status.disruptedPods ?? {}).join(' ')} again ${againMs}`]),
      ...(notDeleted.length === 0 ? [] : [`kept ${names(notDeleted)}`]),
      ...(unmanaged.length === 0 ? [] : [`alone ${names(unmanaged)}`]),
    ];
    const { currentHealthy, desiredHealthy, expectedPods, disruptionsAllowed } = status;
    const told = `${currentHealthy}/${desiredHealthy} of ${expectedPods}, ${disruptionsAllowed}`;
    expect([told, ...more].join('; ')).toBe(want);
    const reason = (disruptionsAllowed ?? 0) > 0 ? 'SufficientPods' : 'InsufficientPods';
    expect(plan.noController).toBe(want.includes('found no controllers') ? failure : undefined);
    expect(status.conditions).toMatchObject([{ reason: failure === undefined ? reason : 'SyncFailed' }]);
  });
});

describe('awaitedTarget()', () => {
  const target = { type: 'DisruptionTarget', status: 'True', lastTransitionTime: ago(20) };
  const metadata = { uid: 'u' };
  it.each([
    { name: 'none', pod: {}, want: undefined },
    { name: 'one', pod: { metadata, status: { conditions: [target] } }, want: `u ${ago(20)}` },
    {
      name: 'one that was taken back',
      pod: { metadata, status: { conditions: [{ ...target, status: 'False' }] } },
      want: undefined,
    },
    {
      name: 'of the kubelet',
      pod: { status: { conditions: [{ ...target, reason: 'TerminationByKubelet' }] } },
      want: undefined,
    },
    {
      name: 'of a pod that goes',
      pod: { metadata: { deletionTimestamp: ago(1) }, status: { conditions: [target] } },
      want: undefined,
    },
  ])('$name', ({ pod, want }) => {
    expect(awaitedTarget(pod)).toBe(want);
  });
});

describe('FirstSeen', () => {
  it('counts from the first look, and anew for another mark or after all were gone', () => {
    const clock = createFakeClock(0);
    const seen = new FirstSeen(clock);
    const look = (marks: Readonly<Record<string, string>>) => Object.fromEntries(seen.waited('k', marks));
    expect(look({ a: '1' })).toEqual({ a: 0 });
    clock.advance(5000);
    expect(look({ a: '1', b: '1' })).toEqual({ a: 5000, b: 0 });
    clock.advance(1000);
    expect(look({ a: '2', b: '1' })).toEqual({ a: 0, b: 1000 });
    expect(look({})).toEqual({});
    expect(look({ b: '1' })).toEqual({ b: 0 });
    seen.forget('k');
    clock.advance(1000);
    expect(look({ b: '1' })).toEqual({ b: 0 });
  });
});
