import { readdirSync } from 'node:fs';
import { gitVersion } from '#api/release.ts';
import type { Pod } from '#api/generated/objects.ts';
import { isStatic } from '#agent/kubelet/static/static-pod.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { family, labels, type Sample } from './exposition.ts';
import type { VolumeFacts } from './stats-input.ts';
import type { Counts, KubeletCounts } from './kubelet-counts.ts';
import { histogramLines } from './histogram-lines.ts';

/** Of the agent's own process. */
export interface ProcessFacts {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly openFds: number;
  /** Since the epoch. */
  readonly startSeconds: number;
}

export interface KubeletMetricsInput {
  readonly nodeName: string;
  /** That the kubelet is to run. */
  readonly desired: readonly Pod[];
  readonly pods: readonly PodObservation[];
  readonly counts: KubeletCounts;
  readonly imagesRemoved: Readonly<Record<'age' | 'space', number>>;
  readonly process: ProcessFacts;
  /** Of claims; of one that several pods use, each has it. */
  readonly volumes: readonly VolumeFacts[];
}

export function readProcess(nowMs: number): ProcessFacts {
  const { user, system } = process.cpuUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    openFds: readdirSync('/proc/self/fd').length,
    startSeconds: Math.round(nowMs / 1000 - process.uptime()),
  };
}

/** A metric: its name, type, what it says, and the samples of it. */
type Row = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  read: (input: KubeletMetricsInput) => readonly Sample[],
];

const one = (value: number): readonly Sample[] => [['', value, undefined]];

/** A sample for each key, whose labels are the words of the key. */
function byLabels(counts: Counts, ...names: readonly string[]): readonly Sample[] {
  return [...counts].map(([key, value]) => {
    const words = key.split(' ');
    const pairs = Object.fromEntries(names.map((name, index) => [name, words[index] ?? '']));
    return [names.length === 0 ? '' : labels(pairs), value, undefined] as const;
  });
}

/** `static` is `true` of pods of files. */
function bySource(pods: readonly Pod[]): readonly Sample[] {
  const own = pods.filter(isStatic).length;
  return [
    [labels({ static: '' }), pods.length - own, undefined],
    [labels({ static: 'true' }), own, undefined],
  ];
}

function containersIn({ pods }: KubeletMetricsInput): readonly Sample[] {
  const states = pods.flatMap((pod) => pod.containers.map(({ state }) => state.state));
  return (['created', 'running', 'exited'] as const).map((state) => [
    labels({ container_state: state }),
    states.filter((found) => found === state).length,
    undefined,
  ]);
}

/** A sample for each claim. */
function byClaim(read: (volume: VolumeFacts) => number): Row[3] {
  return ({ volumes }) => {
    const claims = new Map(
      volumes.map((volume) => {
        const { namespace, name } = volume.claim;
        return [labels({ namespace, persistentvolumeclaim: name }), read(volume)];
      }),
    );
    return [...claims].map(([label, value]) => [label, value, undefined]);
  };
}

/** Names, labels and types are the kubelet's: dashboards and alerts go by them. */
const rows: readonly Row[] = [
  [
    'kubernetes_build_info',
    'gauge',
    "[ALPHA] A metric with a constant '1' value labeled by major, minor, git version and platform.",
    () => {
      const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(gitVersion) ?? [];
      const arch = process.arch === 'x64' ? 'amd64' : process.arch;
      return [[labels({ git_version: gitVersion, major, minor, platform: `linux/${arch}` }), 1, undefined]];
    },
  ],
  [
    'kubelet_node_name',
    'gauge',
    "[ALPHA] The node's name. The count is always 1.",
    ({ nodeName }) => [[labels({ node: nodeName }), 1, undefined]],
  ],
  [
    'kubelet_running_pods',
    'gauge',
    '[ALPHA] Number of pods that have a running pod sandbox',
    ({ pods }) => one(pods.filter(({ sandbox }) => sandbox?.state === 'ready').length),
  ],
  [
    'kubelet_desired_pods',
    'gauge',
    '[ALPHA] The number of pods the kubelet is being instructed to run',
    ({ desired }) => bySource(desired),
  ],
  [
    'kubelet_active_pods',
    'gauge',
    '[ALPHA] The number of pods the kubelet considers active',
    ({ pods, desired }) => {
      const begun = new Set(pods.filter(({ sandbox }) => sandbox !== undefined).map(({ uid }) => uid));
      return bySource(desired.filter(({ metadata }) => begun.has(metadata?.uid ?? '')));
    },
  ],
  [
    'kubelet_mirror_pods',
    'gauge',
    '[ALPHA] The number of mirror pods the kubelet will try to create (one per admitted static pod)',
    ({ desired }) => one(desired.filter(isStatic).length),
  ],
  [
    'kubelet_managed_ephemeral_containers',
    'gauge',
    '[ALPHA] Current number of ephemeral containers in pods managed by this kubelet.',
    ({ desired }) =>
      one(desired.reduce((sum, { spec }) => sum + (spec?.ephemeralContainers?.length ?? 0), 0)),
  ],
  ['kubelet_cgroup_version', 'gauge', '[ALPHA] cgroup version on the hosts.', () => one(2)],
  [
    'kubelet_volume_stats_capacity_bytes',
    'gauge',
    '[ALPHA] Capacity in bytes of the volume',
    byClaim(({ fileSystem }) => fileSystem.capacityBytes),
  ],
  [
    'kubelet_volume_stats_available_bytes',
    'gauge',
    '[ALPHA] Number of available bytes in the volume',
    byClaim(({ fileSystem }) => fileSystem.availableBytes),
  ],
  [
    'kubelet_volume_stats_used_bytes',
    'gauge',
    '[ALPHA] Number of used bytes in the volume',
    byClaim(({ used }) => used.bytes),
  ],
  [
    'kubelet_volume_stats_inodes',
    'gauge',
    '[ALPHA] Maximum number of inodes in the volume',
    byClaim(({ fileSystem }) => fileSystem.inodes),
  ],
  [
    'kubelet_volume_stats_inodes_free',
    'gauge',
    '[ALPHA] Number of free inodes in the volume',
    byClaim(({ fileSystem }) => fileSystem.inodesFree),
  ],
  [
    'kubelet_volume_stats_inodes_used',
    'gauge',
    '[ALPHA] Number of used inodes in the volume',
    byClaim(({ used }) => used.inodes),
  ],
  ['kubelet_running_containers', 'gauge', '[ALPHA] Number of containers currently running', containersIn],
  [
    'kubelet_started_pods_total',
    'counter',
    '[ALPHA] Cumulative number of pods started',
    ({ counts }) => byLabels(counts.startedPods),
  ],
  [
    'kubelet_started_pods_errors_total',
    'counter',
    '[ALPHA] Cumulative number of errors when starting pods',
    ({ counts }) => byLabels(counts.startedPodErrors),
  ],
  [
    'kubelet_started_containers_total',
    'counter',
    '[ALPHA] Cumulative number of containers started',
    ({ counts }) => byLabels(counts.startedContainers, 'container_type'),
  ],
  [
    'kubelet_started_containers_errors_total',
    'counter',
    '[ALPHA] Cumulative number of errors when starting containers',
    ({ counts }) => byLabels(counts.startedContainerErrors, 'container_type', 'code'),
  ],
  [
    'kubelet_runtime_operations_total',
    'counter',
    '[ALPHA] Cumulative number of runtime operations by operation type.',
    ({ counts }) => byLabels(counts.operations, 'operation_type'),
  ],
  [
    'kubelet_runtime_operations_errors_total',
    'counter',
    '[ALPHA] Cumulative number of runtime operation errors by operation type.',
    ({ counts }) => byLabels(counts.operationErrors, 'operation_type'),
  ],
  [
    'kubelet_evictions',
    'counter',
    '[ALPHA] Cumulative number of pod evictions by eviction signal',
    ({ counts }) => byLabels(counts.evictions, 'eviction_signal'),
  ],
  [
    'kubelet_admission_rejections_total',
    'counter',
    '[ALPHA] Cumulative number pod admission rejections by the Kubelet.',
    ({ counts }) => byLabels(counts.rejections, 'reason'),
  ],
  [
    'kubelet_image_garbage_collected_total',
    'counter',
    '[ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.',
    ({ imagesRemoved }) =>
      (['age', 'space'] as const).map((reason) => [labels({ reason }), imagesRemoved[reason], undefined]),
  ],
  [
    'process_cpu_seconds_total',
    'counter',
    'Total user and system CPU time spent in seconds.',
    (input) => one(input.process.cpuSeconds),
  ],
  [
    'process_resident_memory_bytes',
    'gauge',
    'Resident memory size in bytes.',
    (input) => one(input.process.residentBytes),
  ],
  ['process_open_fds', 'gauge', 'Number of open file descriptors.', (input) => one(input.process.openFds)],
  [
    'process_start_time_seconds',
    'gauge',
    'Start time of the process since unix epoch in seconds.',
    (input) => one(input.process.startSeconds),
  ],
];

/** /metrics: what this kubelet knows of itself. Pure. */
export function renderKubeletMetrics(input: KubeletMetricsInput): string {
  const { podStart, podSync } = input.counts;
  return [
    ...rows.flatMap(([name, type, help, read]) => family(name, { type, help }, read(input))),
    ...histogramLines(
      'kubelet_pod_start_duration_seconds',
      '[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
      [{ seconds: podStart, more: {} }],
    ),
    ...histogramLines(
      'kubelet_pod_worker_duration_seconds',
      '[ALPHA] Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync',
      [{ seconds: podSync, more: { operation_type: 'sync' } }],
    ),
    '',
  ].join('\n');
}
