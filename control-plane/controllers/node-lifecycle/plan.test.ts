import { expect, it } from 'vitest';
import type { Node, Pod } from '#api/generated/objects.ts';
import { planEviction, planOlderLabels, planTaints, silentConditions } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 1, 0, 1);
const condition = (type: string, status: string) => ({ type, status });

it.each([
  {
    name: 'a ready node has none',
    node: { status: { conditions: [condition('Ready', 'True')] } },
    want: undefined,
  },
  {
    name: 'a node that said nothing yet has none, nor keeps that with which it was made',
    node: { spec: { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] } },
    want: [],
  },
  {
    name: 'a node that is not ready',
    node: { status: { conditions: [condition('Ready', 'False')] } },
    want: ['not-ready:NoSchedule', 'not-ready:NoExecute'],
  },
  {
    name: 'pressure',
    node: { status: { conditions: [condition('Ready', 'True'), condition('DiskPressure', 'True')] } },
    want: ['disk-pressure:NoSchedule'],
  },
  {
    name: 'a cordon',
    node: { spec: { unschedulable: true }, status: { conditions: [condition('Ready', 'True')] } },
    want: ['unschedulable:NoSchedule'],
  },
  {
    name: 'what no longer holds goes, what is not ours stays',
    node: {
      spec: {
        taints: [
          { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' },
          { key: 'node.kubernetes.io/mine', effect: 'NoSchedule' },
        ],
      },
      status: { conditions: [condition('Ready', 'True')] },
    },
    want: ['mine:NoSchedule'],
  },
] satisfies readonly {
  readonly name: string;
  readonly node: Node;
  readonly want: readonly string[] | undefined;
}[])('planTaints() $name', ({ node, want }) => {
  const taints = planTaints(node, nowMs)?.map(
    ({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`,
  );
  expect(taints).toEqual(want);
});

it('silentConditions() says Unknown once, and keeps the heartbeat', () => {
  const before: Node = {
    status: { conditions: [{ ...condition('Ready', 'True'), lastHeartbeatTime: 't' }] },
  };
  const conditions = silentConditions(before, nowMs);
  expect(conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual([
    'Ready Unknown NodeStatusUnknown',
    'MemoryPressure Unknown NodeStatusNeverUpdated',
    'DiskPressure Unknown NodeStatusNeverUpdated',
    'PIDPressure Unknown NodeStatusNeverUpdated',
  ]);
  expect(conditions?.[0]?.lastHeartbeatTime).toBe('t');
  expect(silentConditions({ status: { conditions: conditions ?? [] } }, nowMs)).toBeUndefined();
});

const taint = { key: 'k', effect: 'NoExecute' as const, timeAdded: '2026-01-01T00:00:30Z' };
it.each([
  { name: 'stays without taints', taints: [], tolerations: [], want: { kind: 'stay' } },
  { name: 'goes when it does not tolerate', taints: [taint], tolerations: [], want: { kind: 'evict' } },
  {
    name: 'stays when it tolerates for ever',
    taints: [taint],
    tolerations: [{ key: 'k', operator: 'Exists' as const }],
    want: { kind: 'stay' },
  },
  {
    name: 'goes later when it tolerates for a time',
    taints: [taint],
    tolerations: [{ key: 'k', operator: 'Exists' as const, tolerationSeconds: 40 }],
    want: { kind: 'evictLater', afterMs: 10_000 },
  },
  {
    name: 'goes by the first toleration of a taint: for ever',
    taints: [taint],
    tolerations: [
      { operator: 'Exists' as const },
      { key: 'k', operator: 'Exists' as const, tolerationSeconds: 40 },
    ],
    want: { kind: 'stay' },
  },
  {
    name: 'goes by the first toleration of a taint: for a time',
    taints: [taint],
    tolerations: [
      { key: 'k', operator: 'Exists' as const, tolerationSeconds: 40 },
      { operator: 'Exists' as const },
    ],
    want: { kind: 'evictLater', afterMs: 10_000 },
  },
  {
    name: 'goes when the time has passed',
    taints: [taint],
    tolerations: [{ key: 'k', operator: 'Exists' as const, tolerationSeconds: 30 }],
    want: { kind: 'evict' },
  },
  {
    name: 'has its whole time on a node of an old taint',
    taints: [taint],
    tolerations: [{ key: 'k', operator: 'Exists' as const, tolerationSeconds: 15 }],
    boundAt: '2026-01-01T00:00:50Z',
    want: { kind: 'evictLater', afterMs: 5_000 },
  },
  {
    name: 'goes by when a taint was seen that does not say when it came',
    taints: [{ key: 'k', effect: 'NoExecute' as const }],
    tolerations: [{ key: 'k', operator: 'Exists' as const, tolerationSeconds: 25 }],
    want: { kind: 'evictLater', afterMs: 5_000 },
  },
  {
    name: 'goes at last for a taint that does not say when it came',
    taints: [{ key: 'k', effect: 'NoExecute' as const }],
    tolerations: [{ key: 'k', operator: 'Exists' as const, tolerationSeconds: 20 }],
    want: { kind: 'evict' },
  },
  {
    name: 'goes by the shortest of its times',
    taints: [taint, { ...taint, key: 'l' }],
    tolerations: [
      { key: 'k', operator: 'Exists' as const, tolerationSeconds: 90 },
      { key: 'l', operator: 'Exists' as const, tolerationSeconds: 31 },
    ],
    want: { kind: 'evictLater', afterMs: 1_000 },
  },
  {
    name: 'goes when it tolerates one of two',
    taints: [taint, { ...taint, key: 'l' }],
    tolerations: [{ key: 'k', operator: 'Exists' as const }],
    want: { kind: 'evict' },
  },
  {
    name: 'goes at once when it tolerates for less than no time',
    taints: [{ ...taint, timeAdded: '2026-01-01T00:01:00Z' }],
    tolerations: [{ key: 'k', operator: 'Exists' as const, tolerationSeconds: -5 }],
    want: { kind: 'evict' },
  },
])('planEviction() $name', ({ taints, tolerations, boundAt, want }) => {
  const bound = { type: 'PodScheduled', status: 'True', lastTransitionTime: boundAt };
  const pod: Pod = {
    spec: { containers: [], tolerations },
    status: { conditions: boundAt === undefined ? [] : [bound] },
  };
  const seenMs = nowMs - 20_000;
  expect(planEviction(pod, { spec: { taints } }, { seenMs, nowMs })).toEqual(want);
});

it.each<{
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly want: Readonly<Record<string, string>> | undefined;
}>([
  { name: 'are none without the newer ones', labels: { 'beta.kubernetes.io/os': 'linux' }, want: undefined },
  {
    name: 'come where they are not there',
    labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' },
    want: { 'beta.kubernetes.io/os': 'linux', 'beta.kubernetes.io/arch': 'amd64' },
  },
  {
    name: 'follow the newer ones',
    labels: { 'kubernetes.io/arch': 'arm64', 'beta.kubernetes.io/arch': 'amd64' },
    want: { 'beta.kubernetes.io/arch': 'arm64' },
  },
  {
    name: 'stay where they say the same',
    labels: { 'kubernetes.io/os': 'linux', 'beta.kubernetes.io/os': 'linux' },
    want: undefined,
  },
])('planOlderLabels() older names of labels $name', ({ labels, want }) => {
  expect(planOlderLabels({ metadata: { labels } })).toEqual(want);
});
