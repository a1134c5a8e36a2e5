/** What a pod that finds no node is told, whole, in the words of a 1.36: reasons of all filters, in their order, and what is said of preemption. */
import { expect, it } from 'vitest';
import type { Node, Pod, PodSpec } from '#api/generated/objects.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { podOf, startGangCluster } from '#control-plane/scheduler/gang/gang.fixture.ts';

const zoneLabel = 'topology.kubernetes.io/zone';
const node = (name: string, change: Partial<Node> = {}): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name, [zoneLabel]: `zone-${name}` } },
  status: { allocatable: { cpu: '2', memory: '4Gi', pods: '10' } },
  ...change,
});
const [a, b] = [node('a'), node('b')];
const cordoned = node('c', { spec: { unschedulable: true } });
const tainted = (name: string, key: string): Node =>
  node(name, { spec: { taints: [{ key, value: 'v', effect: 'NoSchedule' }] } });
const full = node('f', { status: { allocatable: { cpu: '2', memory: '4Gi', pods: '0' } } });
const asking = (requests: Record<string, string>): Partial<PodSpec> => ({
  containers: [{ name: 'c', image: 'i', resources: { requests } }],
});
const onPort: Partial<PodSpec> = {
  containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 1, hostPort: 80 }] }],
};
const term = { topologyKey: zoneLabel, labelSelector: { matchLabels: { app: 'x' } } };
const required = { requiredDuringSchedulingIgnoredDuringExecution: [term] };
const there = (name: string, nodeName: string, change: Partial<PodSpec> = {}): Pod => {
  const { metadata, spec } = podOf(name, undefined, { ...asking({}), ...change });
  return {
    metadata: { ...metadata, labels: { app: 'x' } },
    spec: { containers: [], ...spec, nodeName },
    status: { phase: 'Running' },
  };
};
const spread = (more: object = {}): Partial<PodSpec> => ({
  topologySpreadConstraints: [
    {
      ...{ maxSkew: 1, topologyKey: zoneLabel, whenUnsatisfiable: 'DoNotSchedule', ...more },
      labelSelector: { matchLabels: { app: 'x' } },
    },
  ],
});
const field = { key: 'metadata.name', operator: 'In', values: ['gone'] } as const;
const noVictims = (count: number): string =>
  ` no new claims to deallocate, preemption: 0/${count} nodes are available: ${count} No preemption victims found for incoming pod.`;
const notHelpful = (count: number): string =>
  ` no new claims to deallocate, preemption: 0/${count} nodes are available: ${count} Preemption is not helpful for scheduling.`;

const rows: readonly {
  readonly name: string;
  readonly nodes?: readonly Node[];
  readonly running?: readonly Pod[];
  readonly pod?: Partial<PodSpec>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly want: string;
}[] = [
  { name: 'no node', nodes: [], want: 'no nodes available to schedule pods' },
  {
    name: 'NodeUnschedulable',
    nodes: [cordoned],
    want: `0/1 nodes are available: 1 node(s) were unschedulable.${notHelpful(1)}`,
  },
  {
    name: 'TaintToleration: different taints are one reason',
    nodes: [tainted('a', 'k'), tainted('b', 'l')],
    want: `0/2 nodes are available: 2 node(s) had untolerated taint(s).${notHelpful(2)}`,
  },
  {
    name: 'NodeAffinity',
    pod: { nodeSelector: { disk: 'ssd' } },
    want: `0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.${notHelpful(2)}`,
  },
  {
    name: 'NodeAffinity: a node by name that is not there',
    pod: {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [field] }] },
        },
      },
    },
    want: `0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity].${notHelpful(2)}`,
  },
  {
    name: 'NodePorts',
    nodes: [a],
    running: [there('r', 'a', onPort)],
    pod: onPort,
    want: `0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.${noVictims(1)}`,
  },
  {
    name: 'NodeResourcesFit: what no node has, and what is taken',
    nodes: [a, b],
    running: [there('r', 'a', asking({ cpu: '1500m' }))],
    pod: asking({ cpu: '1', memory: '5Gi' }),
    want: `0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory.${notHelpful(2)}`,
  },
  {
    name: 'NodeResourcesFit: taken by pods that are as important',
    nodes: [a],
    running: [there('r', 'a', asking({ cpu: '2' }))],
    pod: asking({ cpu: '1' }),
    want: `0/1 nodes are available: 1 Insufficient cpu.${noVictims(1)}`,
  },
  {
    name: 'VolumeRestrictions',
    nodes: [a],
    running: [there('r', 'a', { volumes: [{ name: 'd', gcePersistentDisk: { pdName: 'd' } }] })],
    pod: { volumes: [{ name: 'd', gcePersistentDisk: { pdName: 'd' } }] },
    want: `0/1 nodes are available: 1 node(s) had no available disk.${noVictims(1)}`,
  },
  {
    name: 'VolumeBinding: before any node is looked at',
    pod: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
    want: '0/2 nodes are available: persistentvolumeclaim "c" not found. not found',
  },
  {
    name: 'PodTopologySpread: too many in a zone, and a node of none',
    nodes: [a, node('z', { metadata: { name: 'z' } }), tainted('b', 'k')],
    running: [there('r', 'a')],
    labels: { app: 'x' },
    pod: spread(),
    want: "0/3 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) didn't match pod topology spread constraints (missing required label), 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.",
  },
  {
    name: 'InterPodAffinity: nobody to join',
    pod: { affinity: { podAffinity: required } },
    want: `0/2 nodes are available: 2 node(s) didn't match pod affinity rules.${notHelpful(2)}`,
  },
  {
    name: 'InterPodAffinity: somebody to avoid, and who avoids it',
    nodes: [a, b],
    running: [there('r', 'a'), there('s', 'b', { affinity: { podAntiAffinity: required } })],
    labels: { app: 'x' },
    pod: { affinity: { podAntiAffinity: { ...required } } },
    want: `0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.${noVictims(2)}`,
  },
  {
    name: 'InterPodAffinity: who avoids it',
    nodes: [b],
    running: [there('s', 'b', { affinity: { podAntiAffinity: required } })],
    labels: { app: 'x' },
    want: `0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.${noVictims(1)}`,
  },
  {
    name: 'NodeDeclaredFeatures',
    pod: {
      containers: [
        {
          ...{ name: 'c', image: 'i' },
          restartPolicyRules: [
            { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [1] } },
          ],
        },
      ],
    },
    want: `0/2 nodes are available: 2 node(s) didn't match Pod's required features.${notHelpful(2)}`,
  },
  {
    name: 'all of it, in order of text',
    nodes: [a, cordoned, tainted('t', 'k'), full],
    running: [there('r', 'a', asking({ cpu: '2' }))],
    want: '0/4 nodes are available: 1 Insufficient cpu, 1 Too many pods, 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/4 nodes are available: 2 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling.',
  },
  {
    name: 'a pod that does not preempt',
    nodes: [a],
    running: [there('r', 'a', { ...asking({ cpu: '2' }), priority: 1 })],
    pod: { priority: 5, preemptionPolicy: 'Never' },
    want: '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.',
  },
];

it.each(rows)('$name', async ({ nodes = [a, b], running = [], pod = {}, labels, want }) => {
  await using cluster = await startGangCluster({});

  for (const one of nodes) cluster.client.seed(kinds.nodes, one);
  for (const one of running) cluster.client.seed(kinds.pods, one);
  await cluster.settle();
  const { metadata, spec } = podOf('p', undefined, pod);
  await cluster.client.create(kinds.pods, { metadata: { ...metadata, labels }, spec });
  await cluster.settle(2000);
  expect(cluster.pod('p')?.spec?.nodeName).toBeUndefined();
  expect(cluster.told('pod', 'p')).toBe(`False Unschedulable: ${want}`);
  expect(cluster.pod('p')?.status?.nominatedNodeName).toBeUndefined();
  const told = cluster.client.all(kinds.events).filter(({ reason }) => reason === 'FailedScheduling');
  expect(told.map(({ type, message }) => `${type} ${message}`)).toContain(`Warning ${want}`);
});

it('a pod that others go for is told where it waits, and one with gates for what', async () => {
  await using cluster = await startGangCluster({ a: '1' });

  const { metadata, spec } = podOf('low', undefined, { priority: 1 });
  await cluster.client.create(kinds.pods, { metadata: { ...metadata, finalizers: ['x.io/stay'] }, spec });
  await cluster.settle();
  await cluster.client.create(kinds.pods, podOf('high', undefined, { priority: 9 }));
  await cluster.client.create(
    kinds.pods,
    podOf('gated', undefined, { schedulingGates: [{ name: 'x.io/g' }] }),
  );
  await cluster.settle(2000);
  expect(cluster.told('pod', 'high')).toBe(
    'False Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.',
  );
  expect(cluster.pod('high')?.status?.nominatedNodeName).toBe('a');
  expect(cluster.told('pod', 'gated')).toBe(
    'False SchedulingGated: Scheduling is blocked due to non-empty scheduling gates',
  );
});

it('a pod whose victim has not gone looks elsewhere once its node would not do without it either', async () => {
  await using cluster = await startGangCluster({ a: '1', b: '1' });

  const { client } = cluster;
  const low = podOf('low', undefined, { priority: 1, nodeSelector: { 'kubernetes.io/hostname': 'a' } });
  await client.create(kinds.pods, { ...low, metadata: { ...low.metadata, finalizers: ['x.io/stay'] } });
  await client.create(kinds.pods, podOf('other', undefined, { priority: 2 }));
  await cluster.settle();
  await client.create(kinds.pods, podOf('high', undefined, { priority: 9 }));
  await cluster.settle(2000);
  expect(cluster.pod('high')?.status?.nominatedNodeName).toBe('a');

  const body = { spec: { unschedulable: true } };
  await client.patch(kinds.nodes, { name: 'a' }, { kind: 'merge', body });
  client.seed(kinds.nodes, tainted('c', 'k')); // It wakes whom resources keep waiting.
  await cluster.settle(15_000);
  expect(cluster.pod('high')?.spec?.nodeName).toBe('b');
  expect(cluster.pod('other')).toBeUndefined();
  expect(cluster.pod('low')?.metadata?.deletionTimestamp).toBeDefined();
});
