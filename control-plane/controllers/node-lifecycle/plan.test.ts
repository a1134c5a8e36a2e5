import { expect, it } from 'vitest';
import type { Node, Pod } from '#api/generated/objects.ts';
import { planEviction, planTaints, silentConditions } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 1, 0, 1);
const condition = (type: string, status: string) => ({ type, status });

it.each([
  {
    name: 'a ready node has none',
    node: { status: { conditions: [condition('Ready', 'True')] } },
    want: undefined,
  },
  {
    name: 'a node that said nothing is not ready',
    node: {},
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
])('planEviction() $name', ({ taints, tolerations, want }) => {
  const pod: Pod = { spec: { containers: [], tolerations } };
  expect(planEviction(pod, { spec: { taints } }, nowMs)).toEqual(want);
});
