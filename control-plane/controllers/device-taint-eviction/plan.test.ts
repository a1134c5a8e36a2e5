import { expect, it } from 'vitest';
import type { DeviceTaint, DeviceToleration, Pod } from '#api/generated/objects.ts';
import { planDeviceEviction } from './plan.ts';

const addedMs = Date.parse('2026-01-01T00:00:00Z');
const pod: Pod = {
  metadata: { name: 'p', namespace: 'ns', uid: 'u' },
  spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
};
const taint = (effect: DeviceTaint['effect'], key = 'broken'): DeviceTaint => ({
  key,
  effect,
  timeAdded: '2026-01-01T00:00:00Z',
});
const exists = (tolerationSeconds?: number): DeviceToleration => ({
  key: 'broken',
  operator: 'Exists',
  ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
});

it.each<{
  readonly name: string;
  readonly of?: Pod;
  readonly user?: string;
  readonly taints: readonly DeviceTaint[];
  readonly tolerations?: readonly DeviceToleration[];
  readonly want: number | undefined;
}>([
  { name: 'without taints', taints: [], want: undefined },
  { name: 'with a taint that only keeps others away', taints: [taint('NoSchedule')], want: undefined },
  { name: 'with a taint without effect', taints: [taint('None')], want: undefined },
  { name: 'with one that ends pods', taints: [taint('NoExecute')], want: 0 },
  { name: 'that is tolerated', taints: [taint('NoExecute')], tolerations: [exists()], want: undefined },
  {
    name: 'that is tolerated for a while',
    taints: [taint('NoExecute')],
    tolerations: [exists(60)],
    want: addedMs + 60_000,
  },
  {
    name: 'with the shorter of two',
    taints: [taint('NoExecute')],
    tolerations: [exists(60), exists(5)],
    want: addedMs + 5000,
  },
  {
    name: 'with one for ever beside one for a while',
    taints: [taint('NoExecute')],
    tolerations: [exists(5), exists()],
    want: undefined,
  },
  {
    name: 'with one more that is not tolerated',
    taints: [taint('NoExecute'), taint('NoExecute', 'hot')],
    tolerations: [exists()],
    want: 0,
  },
  { name: 'of another pod', user: 'other', taints: [taint('NoExecute')], want: undefined },
  {
    name: 'of a pod on no node',
    of: { ...pod, spec: { containers: [] } },
    taints: [taint('NoExecute')],
    want: undefined,
  },
  {
    name: 'of a pod that is done',
    of: { ...pod, status: { phase: 'Failed' } },
    taints: [taint('NoExecute')],
    want: undefined,
  },
])('a device $name', ({ of = pod, user = 'u', taints, tolerations, want }) => {
  const result = {
    request: 'r',
    driver: 'd',
    pool: 'p',
    device: 'x',
    ...(tolerations === undefined ? {} : { tolerations }),
  };
  const claim = {
    metadata: { name: 'c', namespace: 'ns' },
    spec: {},
    status: {
      allocation: { devices: { results: [result] } },
      reservedFor: [{ resource: 'pods', name: 'p', uid: user }],
    },
  };
  const known = taints.map((taint) => ({ taint, rule: taint.key }));
  const plan = planDeviceEviction(of, [claim], () => known);
  expect(plan?.atMs).toBe(want);
});
