import { expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { rankActive, rankForDeletion } from './rank-for-deletion.ts';

const nowMs = Date.UTC(2026, 0, 31);
const hour = 3_600_000;
const month = 31 * 24 * hour;

interface Ages {
  /** Of how long ago; undefined: nobody says. */
  readonly ready?: number;
  readonly created?: number;
}

function podOf(
  name: string,
  phase: 'Pending' | 'Unknown' | 'Running',
  {
    isReady = false,
    restarts = 0,
    cost,
    ...ages
  }: Ages & { isReady?: boolean; restarts?: number; cost?: string } = {},
): Pod {
  const ago = (ms: number | undefined): string | undefined =>
    ms === undefined ? undefined : formatTime(nowMs - ms);
  const [lastTransitionTime, creationTimestamp] = [ago(ages.ready), ago(ages.created)];
  const container = { name: 'c', image: '', imageID: '', ready: isReady, restartCount: restarts };
  return {
    metadata: {
      ...{ name, uid: name },
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(cost === undefined ? {} : { annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } }),
    },
    status: {
      phase,
      containerStatuses: [container],
      conditions: isReady
        ? [
            {
              type: 'Ready',
              status: 'True',
              ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
            },
          ]
        : [],
    },
  };
}

const running = (name: string, change: Parameters<typeof podOf>[2]) =>
  podOf(name, 'Running', { isReady: true, ...change });
const pods = {
  unscheduled: podOf('unscheduled', 'Pending'),
  pending: podOf('pending', 'Pending'),
  unknown: podOf('unknown', 'Unknown'),
  notReady: podOf('not-ready', 'Running'),
  readySinceNobodyKnows: running('ready-since-nobody-knows', {}),
  ready: running('ready', { ready: 0, created: 0 }),
  readyLong: running('ready-long', { ready: month, created: month }),
  restarted: running('restarted', { ready: 0, created: 0, restarts: 9001 }),
  old: running('old', { ready: 0, created: month }),
  cheap: running('cheap', { ready: 0, created: month, cost: '10' }),
  dear: running('dear', { ready: 0, created: month, cost: '100' }),
  twoHours: running('two-hours', { ready: 2 * hour, created: month }),
  fiveHours: running('z-five-hours', { ready: 5 * hour, created: month }),
  eightHours: running('a-eight-hours', { ready: 8 * hour, created: month, restarts: 0 }),
};
type Name = keyof typeof pods;

/** Each on a node of its own, with others on it until there are so many. */
function ranked(given: readonly (readonly [name: Name, count: number])[]): readonly string[] {
  const placed = given.map(([name, count]) => {
    const pod = pods[name];
    const spec = { containers: [], ...(name === 'unscheduled' ? {} : { nodeName: `node-${name}` }) };
    return { pod: { ...pod, spec }, others: Array.from({ length: count - 1 }, () => ({ ...pod, spec })) };
  });
  const related = placed.flatMap(({ pod, others }) => [pod, ...others]);
  const order = rankForDeletion(
    placed.map(({ pod }) => pod),
    related,
    nowMs,
  );
  return order.map(({ metadata }) => metadata?.name ?? '');
}

// TestSortingActivePodsWithRanks of Kubernetes.
it.each<readonly [Name, number, Name, number]>([
  ['unscheduled', 1, 'pending', 2],
  ['unscheduled', 2, 'pending', 1],
  ['pending', 1, 'unknown', 2],
  ['unknown', 1, 'notReady', 2],
  ['notReady', 1, 'readySinceNobodyKnows', 1],
  ['readySinceNobodyKnows', 1, 'ready', 1],
  ['ready', 2, 'readySinceNobodyKnows', 1],
  ['ready', 1, 'readyLong', 1],
  ['ready', 2, 'readyLong', 1],
  ['restarted', 1, 'ready', 1],
  ['ready', 2, 'restarted', 1],
  ['ready', 1, 'old', 1],
  ['old', 2, 'ready', 1],
  ['cheap', 2, 'dear', 1],
  ['twoHours', 1, 'fiveHours', 1],
  // Alike: the uid decides.
  ['eightHours', 1, 'fiveHours', 1],
])('%s (of %i) goes before %s (of %i)', (lesser, lesserCount, greater, greaterCount) => {
  const want = [pods[lesser].metadata?.name, pods[greater].metadata?.name];
  const both = [[lesser, lesserCount] as const, [greater, greaterCount] as const];
  expect(ranked(both)).toEqual(want);
  expect(ranked(both.toReversed())).toEqual(want);
});

it('ages are compared by powers of two of nanoseconds, and restarts count only of those that are ready since the same moment', () => {
  const of = (uid: string, minutes: number, restarts = 0): Pod =>
    running(uid, { ready: minutes * 60_000, created: month, restarts });
  const order = (...given: readonly Pod[]) =>
    rankForDeletion(given, given, nowMs).map((pod) => pod.metadata?.name);
  // 2 ** 44 ns are 293.2 minutes; 2 ** 24 ms 279.6.
  expect(order(of('a', 294), of('b', 292))).toEqual(['b', 'a']);
  expect(order(of('b', 285), of('a', 275))).toEqual(['a', 'b']);
  expect(order(of('b', 285, 7), of('a', 275))).toEqual(['a', 'b']);
});

it('rankActive() has pods of a Job as TestSortingActivePods of Kubernetes', () => {
  const on = (pod: Pod): Pod => ({ ...pod, spec: { containers: [], nodeName: 'node' } });
  const want = [
    pods.unscheduled,
    ...[pods.pending, pods.unknown, pods.notReady, pods.readySinceNobodyKnows].map(on),
    on(running('ready-now', { ready: 0 })),
    on(running('restarted-often', { ready: month, restarts: 3, created: 0 })),
    on(running('restarted', { ready: month, restarts: 2, created: 0 })),
    on(running('oldest', { ready: month, restarts: 2, created: month })),
  ];
  expect(rankActive(want.toReversed())).toEqual(want);
});
