/** What the managers of CPUs, memory and topology tell, by the kubelet's names; there they are, too, where nothing is given to anybody alone. */
import { AssignCounts } from '#agent/kubelet/assign/assign-counts.ts';
import type { NodeAssignments } from '#agent/kubelet/assign/node-assignments.ts';
import { family, labels, type Sample } from './exposition.ts';
import { histogramLines } from './histogram-lines.ts';

export type AssignFacts = Pick<NodeAssignments, 'counts' | 'cpuShares' | 'scope'>;

type Row = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  read: (facts: AssignFacts | undefined) => readonly Sample[],
];

const none: AssignFacts = {
  counts: new AssignCounts(),
  cpuShares: { shared: 0, alone: 0, perNode: [] },
  scope: 'container',
};

const one =
  (read: (facts: AssignFacts) => number): Row[3] =>
  (facts = none) => [['', read(facts), undefined]];

/** What nobody counted yet has no sample. */
const onNumaNode =
  (read: (counts: AssignCounts) => number): Row[3] =>
  ({ counts, scope } = none) => {
    const count = read(counts);
    return count === 0 ? [] : [[labels({ boundary: 'numa_node', scope }), count, undefined]];
  };

const rows: readonly Row[] = [
  [
    'kubelet_topology_manager_admission_requests_total',
    'counter',
    '[ALPHA] The number of admission requests where resources have to be aligned.',
    one(({ counts }) => counts.admissions),
  ],
  [
    'kubelet_topology_manager_admission_errors_total',
    'counter',
    '[ALPHA] The number of admission request failures where resources could not be aligned.',
    one(({ counts }) => counts.refusals),
  ],
  [
    'kubelet_cpu_manager_pinning_requests_total',
    'counter',
    '[ALPHA] The number of cpu core allocations which required pinning.',
    one(({ counts }) => counts.pinnings.cpu.requests),
  ],
  [
    'kubelet_cpu_manager_pinning_errors_total',
    'counter',
    '[ALPHA] The number of cpu core allocations which required pinning failed.',
    one(({ counts }) => counts.pinnings.cpu.errors),
  ],
  [
    'kubelet_cpu_manager_shared_pool_size_millicores',
    'gauge',
    '[ALPHA] The size of the shared CPU pool for non-guaranteed QoS pods, in millicores.',
    one(({ cpuShares }) => cpuShares.shared * 1000),
  ],
  [
    'kubelet_cpu_manager_exclusive_cpu_allocation_count',
    'gauge',
    '[ALPHA] The total number of CPUs exclusively allocated to containers running on this node',
    one(({ cpuShares }) => cpuShares.alone),
  ],
  [
    'kubelet_cpu_manager_allocation_per_numa',
    'gauge',
    '[ALPHA] Number of CPUs allocated per NUMA node',
    ({ cpuShares } = none) =>
      cpuShares.perNode.map(([node, cpus]) => [labels({ numa_node: String(node) }), cpus, undefined]),
  ],
  [
    'kubelet_memory_manager_pinning_requests_total',
    'counter',
    '[ALPHA] The number of memory pages allocations which required pinning.',
    one(({ counts }) => counts.pinnings.memory.requests),
  ],
  [
    'kubelet_memory_manager_pinning_errors_total',
    'counter',
    '[ALPHA] The number of memory pages allocations which required pinning that failed.',
    one(({ counts }) => counts.pinnings.memory.errors),
  ],
  [
    'kubelet_container_aligned_compute_resources_count',
    'counter',
    '[ALPHA] Cumulative number of aligned compute resources allocated to containers by alignment type.',
    onNumaNode((counts) => counts.aligned),
  ],
  [
    'kubelet_container_aligned_compute_resources_failure_count',
    'counter',
    '[ALPHA] Cumulative number of failures to allocate aligned compute resources to containers by alignment type.',
    onNumaNode((counts) => counts.unaligned),
  ],
];

/** The lines of all. Pure. */
export function renderAssignments(facts: AssignFacts | undefined): string {
  const { counts } = facts ?? none;
  const lines = [
    ...rows.flatMap(([name, type, help, read]) => family(name, { type, help }, read(facts))),
    ...histogramLines(
      'kubelet_topology_manager_admission_duration_ms',
      '[ALPHA] Duration in milliseconds to serve a pod admission request.',
      [{ seconds: counts.durations, more: {} }],
    ),
  ];
  return `${lines.join('\n')}\n`;
}
