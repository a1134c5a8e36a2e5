import { expect, it } from 'vitest';
import type { Node, Pod } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { pluginArgs } from '#control-plane/scheduler/config/plugin-args.ts';
import { scorePlugins } from '#control-plane/scheduler/plugins.ts';
import { nodeInfo, type NodeInfo } from '#control-plane/scheduler/snapshot.ts';

// Rows of the tables of kube-scheduler's noderesources (least, most and balanced allocation, requested to capacity ratio). Its scores are rounded down
// at each step and ours are not: they are less than one apart.

type Amounts = Readonly<Record<string, string>>;
type Running = readonly (readonly [node: string, ...containers: readonly Amounts[]])[];

interface Row {
  readonly name: string;
  readonly plugin: string;
  readonly args?: JsonObject;
  readonly nodes: Readonly<Record<string, Amounts>>;
  readonly running?: Running;
  /** What each container of the pod asks for. */
  readonly pod: readonly Amounts[];
  /** Undefined: the pod does not care. */
  readonly want: readonly number[] | undefined;
}

const [cpuOnly, memoryOnly, both] = [
  [
    { cpu: '1', memory: '0' },
    { cpu: '2', memory: '0' },
  ],
  [
    { cpu: '0', memory: '2000' },
    { cpu: '0', memory: '3000' },
  ],
  [
    { cpu: '1', memory: '2000' },
    { cpu: '2', memory: '3000' },
  ],
] as const;
const size = (cpu: string, memory: string, more: Amounts = {}): Amounts => ({ cpu, memory, ...more });
const gpu = 'nvidia.com/gpu';
const balanced = 'NodeResourcesBalancedAllocation';
const fit = 'NodeResourcesFit';
const weighing = (...resources: readonly (readonly [string, number])[]): JsonObject => ({
  resources: resources.map(([name, weight]) => ({ name, weight })),
});
const three = weighing(['cpu', 1], ['memory', 1], [gpu, 1]);
const strategy = (type: string, more: JsonObject = {}): JsonObject => ({
  scoringStrategy: { type, ...more },
});
const most = strategy('MostAllocated');
const ratio = (points: readonly (readonly [number, number])[], more: JsonObject = {}): JsonObject =>
  strategy('RequestedToCapacityRatio', {
    requestedToCapacityRatio: { shape: points.map(([utilization, score]) => ({ utilization, score })) },
    ...more,
  });
const falling = [
  [0, 10],
  [100, 0],
] as const;
const rising = [
  [0, 0],
  [100, 1],
] as const;

const balancedRows: readonly Omit<Row, 'plugin'>[] = [
  { name: 'asks for nothing', nodes: { a: size('4', '10000') }, pod: [], want: undefined },
  {
    name: 'nodes of two sizes',
    nodes: { a: size('4', '10000'), b: size('6', '10000') },
    ...{ pod: both, want: [68, 75] },
  },
  {
    name: 'beside others',
    nodes: { a: size('10', '20000'), b: size('10', '20000') },
    running: [
      ['a', ...cpuOnly],
      ['b', ...both],
    ],
    ...{ pod: both, want: [73, 74] },
  },
  {
    name: 'beside others, nodes of two sizes',
    nodes: { a: size('10', '20000'), b: size('10', '50000') },
    running: [
      ['a', ...cpuOnly],
      ['b', ...both],
    ],
    ...{ pod: both, want: [73, 70] },
  },
  {
    name: 'the best and the worst',
    nodes: { a: size('3', '5000'), b: size('3', '5000') },
    running: [['a', ...cpuOnly]],
    ...{ pod: memoryOnly, want: [100, 50] },
  },
  {
    name: 'all of a node',
    nodes: { a: size('6', '10000'), b: size('6', '10000') },
    running: [
      ['a', ...cpuOnly],
      ['b', ...both],
    ],
    ...{ pod: cpuOnly, want: [62, 62] },
  },
  {
    name: 'with gpus',
    args: three,
    nodes: { a: size('3500m', '40000', { [gpu]: '8' }), b: size('3500m', '40000', { [gpu]: '8' }) },
    running: [
      ['a', { cpu: '1', memory: '2000', [gpu]: '1' }, { cpu: '2', memory: '3000', [gpu]: '2' }],
      ['b', ...both],
    ],
    ...{ pod: [{ memory: '0', [gpu]: '1' }], want: [75, 76] },
  },
  {
    name: 'gpus that it does not ask for',
    args: three,
    nodes: { a: size('3500m', '40000', { [gpu]: '8' }), b: size('3500m', '40000') },
    ...{ pod: both, want: [56, 56] },
  },
  {
    name: 'huge pages that it does not ask for',
    args: weighing(['cpu', 1], ['memory', 1], ['hugepages-2Mi', 1]),
    nodes: { a: size('3500m', '40000', { 'hugepages-2Mi': '8' }), b: size('3500m', '40000') },
    ...{ pod: both, want: [56, 56] },
  },
];

const allocationRows: readonly Omit<Row, 'plugin'>[] = [
  {
    name: 'least: without containers',
    ...{ nodes: { a: size('4', '10000'), b: size('4', '10000') }, pod: [], want: [100, 100] },
  },
  {
    name: 'least: nodes of two sizes',
    nodes: { a: size('4', '10000'), b: size('6', '10000') },
    ...{ pod: both, want: [37, 50] },
  },
  {
    name: 'least: asks for nothing, beside others',
    nodes: { a: size('10', '20000'), b: size('10', '20000') },
    running: [
      ['a', ...cpuOnly, ...cpuOnly],
      ['b', ...cpuOnly, ...both],
    ],
    ...{ pod: [], want: [70, 57] },
  },
  {
    name: 'least: more than there is',
    nodes: { a: size('4', '10000'), b: size('4', '10000') },
    running: [
      ['a', ...cpuOnly],
      ['b', ...both],
    ],
    ...{ pod: cpuOnly, want: [50, 25] },
  },
  {
    name: 'least: nodes of nothing',
    ...{ nodes: { a: {}, b: {} }, running: [['a', ...cpuOnly]], pod: [], want: [0, 0] },
  },
  {
    name: 'least: by weight',
    args: strategy('LeastAllocated', weighing(['memory', 2], ['cpu', 1])),
    nodes: { a: size('4', '10000'), b: size('6', '10000') },
    ...{ pod: both, want: [41, 50] },
  },
  {
    name: 'least: gpus',
    args: strategy('LeastAllocated', three),
    nodes: { a: size('6', '10000', { [gpu]: '4' }), b: size('6', '10000', { [gpu]: '10' }) },
    ...{ pod: [{ cpu: '3', memory: '5000', [gpu]: '2' }], want: [50, 60] },
  },
  {
    name: 'least: huge pages that it does not ask for',
    args: strategy('LeastAllocated', weighing(['cpu', 1], ['memory', 1], ['hugepages-2Mi', 1])),
    nodes: { a: size('6', '10000'), b: size('6', '10000', { 'hugepages-2Mi': '4' }) },
    ...{ pod: both, want: [50, 50] },
  },
  // 200 Mi and 100m stand for what a container does not ask for, of each.
  {
    name: 'least: one of two containers asks',
    nodes: { a: size('1', '1000Mi') },
    ...{ pod: [{ cpu: '500m', memory: '400Mi' }, {}], want: [40] },
  },
  {
    name: 'least: beside two containers that ask for nothing',
    ...{ nodes: { a: size('1', '1000Mi') }, running: [['a', {}, {}]] },
    ...{ pod: [{ cpu: '0', memory: '0' }], want: [70] },
  },
  {
    name: 'most: nodes of two sizes',
    args: most,
    nodes: { a: size('4', '10000'), b: size('6', '10000') },
    ...{ pod: both, want: [62, 50] },
  },
  {
    name: 'most: asks for nothing, beside others',
    args: most,
    nodes: { a: size('10', '20000'), b: size('10', '20000') },
    running: [
      ['a', ...cpuOnly, ...cpuOnly],
      ['b', ...cpuOnly, ...both],
    ],
    ...{ pod: [], want: [30, 42] },
  },
  {
    name: 'most: more than there is',
    args: most,
    nodes: { a: size('4', '10000'), b: size('10', '8000') },
    ...{ pod: [{ cpu: '5', memory: '5000' }], want: [75, 56] },
  },
  {
    name: 'ratio, falling: nothing asked',
    args: ratio(falling),
    ...{ nodes: { a: size('4', '10000') }, pod: [], want: [100] },
  },
  {
    name: 'ratio, falling: nodes of two sizes',
    args: ratio(falling),
    nodes: { a: size('4', '10000'), b: size('6', '10000') },
    ...{ pod: both, want: [38, 50] },
  },
  {
    name: 'ratio, rising: a gpu and memory by weight',
    args: ratio(rising, weighing(['memory', 1], [gpu, 1])),
    nodes: { a: size('4', '4000', { [gpu]: '8' }), b: size('4', '4000', { [gpu]: '4' }) },
    ...{ pod: [{ memory: '1000', [gpu]: '2' }], want: [2.5, 3.75] },
  },
];

const rows: readonly Row[] = [
  ...balancedRows.map((row) => ({ ...row, plugin: balanced })),
  ...allocationRows.map((row) => ({ ...row, plugin: fit })),
];

function infosOf({ nodes, running = [] }: Row): readonly NodeInfo[] {
  return Object.entries(nodes).map(([name, allocatable]) => {
    const node: Node = { metadata: { name }, status: { allocatable } };
    const here = running.flatMap(([on, ...containers], index) =>
      on === name ? [[`n/r${index}`, podOf(`r${index}`, containers)] as const] : [],
    );
    return nodeInfo(node, new Map(here));
  });
}

const podOf = (name: string, containers: readonly Amounts[]): Pod => ({
  metadata: { name, namespace: 'n', labels: { app: 'w' } },
  spec: { containers: containers.map((requests, index) => ({ name: `c${index}`, resources: { requests } })) },
});

it.each(rows)('$plugin: $name', (row) => {
  const plugin = scorePlugins(pluginArgs({ [row.plugin]: row.args ?? {} })).find(
    ({ name }) => name === row.plugin,
  );
  const nodes = infosOf(row);
  const snapshot = { nodes, services: () => [], namespaceLabels: () => ({}) };
  const score = plugin?.score({ pod: podOf('p', row.pod), snapshot }, nodes);
  expect(score === undefined).toBe(row.want === undefined);
  for (const [index, want] of (row.want ?? []).entries()) {
    const node = nodes[index];
    if (node !== undefined) expect(Math.abs((score?.(node) ?? -1) - want)).toBeLessThan(1);
  }
});
