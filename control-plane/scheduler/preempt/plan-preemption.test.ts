import { expect, it } from 'vitest';
import type { Node, PersistentVolumeClaim, Pod, PodDisruptionBudget } from '#api/generated/objects.ts';
import { decide } from '#control-plane/scheduler/decide.ts';
import { nodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { planPreemption, type PreemptionPlan } from './plan-preemption.ts';
import { ineligibility, preemptionNote } from './preemption-note.ts';

type Spec = NonNullable<Pod['spec']>;

interface Running {
  readonly on: string;
  readonly name: string;
  readonly cpu?: string;
  readonly priority?: number;
  readonly started?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: Partial<Spec>;
}

interface Given {
  readonly nodes?: readonly string[];
  readonly running: readonly Running[];
  readonly pod: Partial<Spec> & { readonly cpu?: string };
  readonly nominated?: readonly Running[];
  readonly budgets?: readonly PodDisruptionBudget[];
}

const cpuOfNode = '4';
const containers = (cpu = '0'): Spec['containers'] => [
  { name: 'c', image: 'i', resources: { requests: { cpu } } },
];
const nodeOf = (name: string): Node => ({
  metadata: { name, labels: { host: name } },
  status: { allocatable: { cpu: cpuOfNode, memory: '8Gi', pods: '10' } },
});
const podOf = ({ on, name, cpu, priority = 0, started, labels, spec }: Running): Pod => ({
  metadata: { name, namespace: 'default', uid: name, labels },
  spec: { containers: containers(cpu), nodeName: on, priority, ...spec },
  status: { startTime: started },
});

const alone: PersistentVolumeClaim = {
  metadata: {
    ...{ name: 'alone', namespace: 'default' },
    annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
  },
  spec: { accessModes: ['ReadWriteOncePod'], volumeName: 'v' },
};
const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'alone' } }];

function contextOf({ nodes = ['a', 'b'], running, pod, nominated = [] }: Given) {
  const infos = nodes.map((name) => {
    const here = running.filter(({ on }) => on === name).map(podOf);
    return nodeInfo(nodeOf(name), new Map(here.map((one) => [`default/${one.metadata?.name ?? ''}`, one])));
  });
  const snapshot: Snapshot = {
    ...{ nodes: infos, services: () => [], namespaceLabels: () => ({}) },
    nominated: (node) => nominated.filter(({ on }) => on === node).map(podOf),
    volumes: {
      ...{ claim: () => alone, volume: () => ({ metadata: { name: 'v' } }), storageClass: () => undefined },
      ...{ offered: () => [], isTaken: () => false, chosenNode: () => undefined },
      usedOn: () => running.filter(({ spec }) => spec?.volumes !== undefined).map(({ on }) => on),
    },
  };
  const { cpu = '3', ...spec } = pod;
  const wanted: Pod = {
    metadata: { name: 'p', namespace: 'default', uid: 'p', labels: { app: 'p' } },
    spec: { priority: 100, containers: containers(cpu), ...spec },
  };
  return { pod: wanted, snapshot };
}

function planOf(given: Given, start = 0): PreemptionPlan | string {
  const context = contextOf(given);
  const decision = decide(context);
  if (decision.kind === 'node') return decision.nodeName;
  const steps = planPreemption({
    ...context,
    nodes: decision.helpedByEviction,
    budgets: given.budgets ?? [],
    start,
  });
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}

function told(given: Given, start = 0): string {
  const plan = planOf(given, start);
  if (typeof plan === 'string') return plan;
  if (plan.kind === 'victims')
    return `${plan.nodeName}: ${plan.victims.map(({ metadata }) => metadata?.name).join(' ')}`;
  return [...plan.reasons].map(([reason, count]) => `${count} ${reason}`).join(', ');
}

const budgetStatus = (disruptionsAllowed: number) => ({
  ...{ currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed, expectedPods: 0 },
});
const budget = (app: string, allowed: number): PodDisruptionBudget => ({
  metadata: { name: app, namespace: 'default' },
  spec: { selector: { matchLabels: { app } } },
  status: budgetStatus(allowed),
});
/** With pods that have been evicted, and are not gone yet. */
const going = (app: string, allowed: number, ...names: readonly string[]): PodDisruptionBudget => {
  const disruptedPods = Object.fromEntries(names.map((name) => [name, '2026-01-01T00:00:00Z']));
  return { ...budget(app, allowed), status: { ...budgetStatus(allowed), disruptedPods } };
};
/** Pods on a node: cpus, priority, and on which day each started. */
const on = (
  node: string,
  ...pods: readonly (readonly [cpu: number, priority: number, day?: number])[]
): readonly Running[] =>
  pods.map(([cpu, priority, day = 1], index) => ({
    ...{ on: node, name: `${node}${index}`, cpu: `${cpu}`, priority },
    started: `2026-01-0${day}T00:00:00Z`,
  }));
const awayFrom = (app: string): Partial<Spec> => ({
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey: 'host', labelSelector: { matchLabels: { app } } },
      ],
    },
  },
});

const cases: readonly { readonly name: string; readonly given: Given; readonly want: string }[] = [
  {
    name: 'as few as possible, of the lowest priority',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'low', cpu: '2', priority: 1 },
        { on: 'a', name: 'middle', cpu: '1', priority: 5 },
        { on: 'a', name: 'high', cpu: '1', priority: 100 },
      ],
      pod: { cpu: '2' },
    },
    want: 'a: low',
  },
  {
    name: 'the one that started last, of the same priority',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'old', cpu: '2', started: '2026-01-01T00:00:00Z' },
        { on: 'a', name: 'new', cpu: '2', started: '2026-01-02T00:00:00Z' },
      ],
      pod: { cpu: '2' },
    },
    want: 'a: new',
  },
  {
    name: 'nobody of the same priority',
    given: {
      running: ['a', 'b'].map((on) => ({ on, name: on, cpu: '4', priority: 100 })),
      pod: {},
    },
    want: '2 No preemption victims found for incoming pod',
  },
  {
    name: 'nobody where that is not enough',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'low', cpu: '1' },
        { on: 'a', name: 'high', cpu: '3', priority: 200 },
      ],
      pod: {},
    },
    want: '1 Insufficient cpu',
  },
  {
    name: 'on the node where the highest of them is lowest',
    given: {
      running: [
        { on: 'a', name: 'a1', cpu: '4', priority: 7 },
        { on: 'b', name: 'b1', cpu: '2', priority: 3 },
        { on: 'b', name: 'b2', cpu: '2', priority: 3 },
      ],
      pod: {},
    },
    want: 'b: b1 b2',
  },
  {
    name: 'on the node where they are fewer',
    given: {
      running: [
        { on: 'a', name: 'a1', cpu: '2' },
        { on: 'a', name: 'a2', cpu: '2' },
        { on: 'b', name: 'b1', cpu: '4' },
      ],
      pod: {},
    },
    want: 'b: b1',
  },
  {
    name: 'on the node where they started later',
    given: {
      running: [
        { on: 'a', name: 'a1', cpu: '4', started: '2026-01-01T00:00:00Z' },
        { on: 'b', name: 'b1', cpu: '4', started: '2026-01-02T00:00:00Z' },
      ],
      pod: {},
    },
    want: 'b: b1',
  },
  {
    name: 'on the node where no budget forbids it, though they are more important',
    given: {
      running: [
        { on: 'a', name: 'a1', cpu: '4', labels: { app: 'kept' } },
        { on: 'b', name: 'b1', cpu: '4', priority: 50 },
      ],
      budgets: [budget('kept', 0)],
      pod: {},
    },
    want: 'b: b1',
  },
  {
    name: 'against a budget where there is no other way',
    given: {
      nodes: ['a'],
      running: [{ on: 'a', name: 'a1', cpu: '4', labels: { app: 'kept' } }],
      budgets: [budget('kept', 0)],
      pod: {},
    },
    want: 'a: a1',
  },
  {
    name: 'whom a budget lets go, on the same node',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'kept', cpu: '2', labels: { app: 'kept' } },
        { on: 'a', name: 'free', cpu: '2', priority: 9 },
      ],
      budgets: [budget('kept', 0)],
      pod: { cpu: '2' },
    },
    want: 'a: free',
  },
  {
    name: 'whom its anti-affinity excludes',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'rival', labels: { app: 'rival' } },
        { on: 'a', name: 'other', cpu: '1' },
      ],
      pod: { cpu: '1', ...awayFrom('rival') },
    },
    want: 'a: rival',
  },
  {
    name: 'whose anti-affinity excludes it',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'shy', spec: awayFrom('p') },
        { on: 'a', name: 'other', cpu: '1' },
      ],
      pod: { cpu: '1' },
    },
    want: 'a: shy',
  },
  {
    name: 'also for those nominated before',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'x', cpu: '2' },
        { on: 'a', name: 'y', cpu: '2', priority: 5 },
      ],
      nominated: [{ on: 'a', name: 'first', cpu: '2', priority: 100 }],
      pod: { cpu: '2' },
    },
    want: 'a: y x',
  },
  {
    name: 'not for those nominated of lower priority',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'x', cpu: '2' },
        { on: 'a', name: 'y', cpu: '2', priority: 5 },
      ],
      nominated: [{ on: 'a', name: 'first', cpu: '2', priority: 50 }],
      pod: { cpu: '2' },
    },
    want: 'a: x',
  },
  {
    name: 'a middle one, where the lowest is small and may stay',
    given: {
      nodes: ['a'],
      running: [
        { on: 'a', name: 'low', cpu: '1' },
        { on: 'a', name: 'middle', cpu: '3', priority: 5 },
      ],
      pod: { cpu: '3' },
    },
    want: 'a: middle',
  },
  {
    name: 'on the node where the sum of their priorities is least',
    given: {
      nodes: ['a', 'b', 'c'],
      running: [...on('a', [2, 5], [2, 5]), ...on('b', [2, 5], [2, 0]), ...on('c', [1, 5], [3, 5])],
      pod: { cpu: '4' },
    },
    want: 'b: b0 b1',
  },
  {
    name: 'on the node where they are fewer, though of negative priorities',
    given: {
      nodes: ['a', 'b', 'c'],
      running: [
        ...on('a', [1, 50], [1, -50], [1, -50]),
        ...on('b', [2, 50], [2, -50]),
        ...on('c', [2, 50], [1, -50], [1, 0]),
      ],
      pod: { cpu: '4' },
    },
    want: 'b: b0 b1',
  },
  {
    name: 'by the highest, then the sum, then how many they are',
    given: {
      nodes: ['a', 'b', 'c', 'd'],
      running: [
        ...on('a', [2, 50], [1, 0], [1, 0]),
        ...on('b', [4, 90]),
        ...on('c', [1, 50], [1, 0], [1, 0], [1, 0]),
        ...on('d', [1, 50], [1, 50], [1, 50], [1, -50]),
      ],
      pod: { cpu: '4' },
    },
    want: 'a: a0 a1 a2',
  },
  {
    name: 'on the node where the first of the most important started last',
    given: {
      nodes: ['a', 'b', 'c'],
      running: [
        ...on('a', [2, 5, 4], [2, 5, 2]),
        ...on('b', [2, 5, 5], [2, 5, 1]),
        ...on('c', [2, 5, 3], [2, 5, 6]),
      ],
      pod: { cpu: '4' },
    },
    want: 'c: c0 c1',
  },
  {
    name: 'on the node where the most important one started last, whenever the others did',
    given: {
      nodes: ['a', 'b', 'c'],
      running: [
        ...on('a', [2, 0, 4], [2, 5, 2]),
        ...on('b', [2, 5, 6], [2, 0, 1]),
        ...on('c', [2, 0, 3], [2, 5, 5]),
      ],
      pod: { cpu: '4' },
    },
    want: 'b: b0 b1',
  },
  {
    name: 'past as many nodes as are enough, until no budget forbids it',
    given: {
      nodes: ['a', 'b', 'c', 'd'],
      running: ['a', 'b', 'c', 'd'].map((name) => ({
        ...{ on: name, name, cpu: '4' },
        labels: { app: name === 'c' ? 'free' : 'kept' },
      })),
      budgets: [budget('kept', 0)],
      pod: { cpu: '4' },
    },
    want: 'c: c',
  },
  {
    name: 'whom a budget counts already, before whom it would count',
    given: {
      running: ['a', 'b'].flatMap((node) =>
        on(node, [2, 5], [2, 5]).map((one) => ({ ...one, labels: { app: 'kept' } })),
      ),
      budgets: [going('kept', 1, 'b0')],
      pod: { cpu: '4' },
    },
    want: 'b: b0 b1',
  },
  {
    name: 'of a domain that has too many',
    given: {
      nodes: ['a', 'b'],
      running: [
        ...on('a', [0, 5], [0, 0]).map((one) => ({ ...one, labels: { app: 'p' } })),
        ...on('b', [0, 200]).map((one) => ({ ...one, labels: { app: 'p' } })),
        { on: 'b', name: 'full', cpu: '4', priority: 200 },
      ],
      pod: {
        cpu: '1',
        topologySpreadConstraints: [
          {
            ...{ maxSkew: 1, topologyKey: 'host', whenUnsatisfiable: 'DoNotSchedule' },
            labelSelector: { matchLabels: { app: 'p' } },
          },
        ],
      },
    },
    want: 'a: a1',
  },
];

it.each(cases)('evicts $name', ({ given, want }) => {
  expect(told(given)).toBe(want);
});

it('keeps what a nominated pod needs from those of lower or equal priority alone', () => {
  const given = (priority: number): Given => ({
    nodes: ['a'],
    running: [],
    nominated: [{ on: 'a', name: 'first', cpu: '3', priority: 50 }],
    pod: { cpu: '2', priority },
  });
  expect(told(given(50))).toBe('1 No preemption victims found for incoming pod');
  expect(told(given(51))).toBe('a');
});

it('takes a claim of ReadWriteOncePod from a pod of lower priority, on its node alone', () => {
  const holder = (priority: number): Running => ({
    ...{ on: 'b', name: 'holder', priority, spec: { volumes } },
  });
  const other: Running = { on: 'a', name: 'other', priority: 1 };
  expect(told({ running: [other, holder(50)], pod: { volumes } })).toBe('b: holder');
  expect(told({ running: [other, holder(100)], pod: { volumes } })).toContain('1 node has pod using');
});

it('looks at a hundred of many nodes, from where it is to begin, and takes the first of the cheapest', () => {
  const names = Array.from({ length: 150 }, (_, index) => `n${index}`);
  const cheap = new Set(['n110', 'n130']);
  const running = names.map((on) => ({ on, name: `on-${on}`, cpu: '4', priority: cheap.has(on) ? 1 : 2 }));
  const given: Given = { nodes: names, running, pod: {} };
  expect([0, 120, 140].map((start) => told(given, start))).toEqual([
    'n0: on-n0',
    'n130: on-n130',
    'n0: on-n0',
  ]);
  expect(told(given, 50)).toBe('n110: on-n110');
});

it('says what kube-scheduler says of it', () => {
  const say = (given: Given): string => {
    const context = contextOf(given);
    const decision = decide(context);
    if (decision.kind === 'node') return decision.nodeName;
    const plan = planOf(given);
    const none =
      typeof plan === 'string' || plan.kind === 'victims' ? new Map<string, number>() : plan.reasons;
    const why = ineligibility(context.pod, false);
    return decision.message + preemptionNote(context.pod, decision, why === '' ? none : why);
  };
  const full = { running: [{ on: 'a', name: 'x', cpu: '4', priority: 100 }], nodes: ['a'] };
  expect(say({ ...full, pod: { cpu: '5' } })).toBe(
    '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  );
  // As kube-scheduler 1.36.2 was seen to say it of a resource that no node has.
  const resources = { requests: { 'nvidia.com/gpu': '1' } };
  expect(say({ ...full, pod: { containers: [{ name: 'c', image: 'i', resources }] } })).toBe(
    '0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
  );
  expect(say({ ...full, pod: {} })).toBe(
    '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  );
  expect(say({ ...full, pod: { preemptionPolicy: 'Never' } })).toBe(
    '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.',
  );
});
