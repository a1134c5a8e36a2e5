import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import { renderProcess, type ProcessFacts } from '#agent/node/process-metrics.ts';
import type { SecondsHistogram } from './seconds-histogram.ts';
import { isStatic } from '#agent/kubelet/static/static-pod.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { family, labels, type Sample } from './exposition.ts';
import type { ClaimVolumeFacts } from './stats-input.ts';
import type { Counts, KubeletCounts } from './kubelet-counts.ts';
import type { OperationCount, RuntimeCounts } from './runtime-counts.ts';
import { histogramLines, type LabelledHistogram } from './histogram-lines.ts';

export interface KubeletMetricsInput {
  readonly nodeName: string;
  /** That the kubelet is to run. */
  readonly desired: readonly Pod[];
  readonly pods: readonly PodObservation[];
  readonly counts: KubeletCounts;
  readonly runtime: RuntimeCounts;
  readonly imagesRemoved: Readonly<Record<'age' | 'space', number>>;
  readonly process: ProcessFacts;
  /** Of claims; of one that several pods use, each has it. */
  readonly volumes: readonly ClaimVolumeFacts[];
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

/** A counter that nobody counted up has no sample. */
function ofOperations(
  counts: ReadonlyMap<string, OperationCount>,
  label: string,
  read: (count: OperationCount) => number,
): readonly Sample[] {
  return [...counts].flatMap(([name, count]): Sample[] => {
    const value = read(count);
    return value === 0 ? [] : [[labels({ [label]: name }), value, undefined]];
  });
}

/** By lifecycle, whether somebody wants them, and whether they are of files: each there is (pkg/kubelet, pod_workers.go). */
function workingPods({ desired, pods }: KubeletMetricsInput): readonly Sample[] {
  const counts = new Map<string, number>();
  for (const lifecycle of ['sync', 'terminating', 'terminated'])
    for (const [config, kinds] of [
      ['desired', ['', 'true']],
      ['orphan', ['', 'true']],
      ['runtime_only', ['unknown']],
    ] as const)
      for (const kind of kinds) counts.set(labels({ lifecycle, config, static: kind }), 0);
  const add = (lifecycle: string, config: string, kind: string): void => {
    const key = labels({ lifecycle, config, static: kind });
    counts.set(key, (counts.get(key) ?? 0) + 1);
  };
  const observed = new Map(pods.map((pod) => [pod.uid, pod]));
  for (const pod of desired) {
    const isEnding = pod.metadata?.deletionTimestamp !== undefined || isTerminal(pod);
    const runs = observed.get(pod.metadata?.uid ?? '')?.sandbox?.state === 'ready';
    add(isEnding ? (runs ? 'terminating' : 'terminated') : 'sync', 'desired', isStatic(pod) ? 'true' : '');
  }
  const known = new Set(desired.map(({ metadata }) => metadata?.uid));
  for (const { uid, sandbox } of pods)
    if (!known.has(uid))
      add(sandbox?.state === 'ready' ? 'terminating' : 'terminated', 'runtime_only', 'unknown');
  return [...counts].map(([key, value]) => [key, value, undefined]);
}

/** A sample for each claim. */
function byClaim(read: (volume: ClaimVolumeFacts) => number): Row[3] {
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
    ({ runtime }) => ofOperations(runtime.operations, 'operation_type', ({ total }) => total),
  ],
  [
    'kubelet_runtime_operations_errors_total',
    'counter',
    '[ALPHA] Cumulative number of runtime operation errors by operation type.',
    ({ runtime }) => ofOperations(runtime.operations, 'operation_type', ({ errors }) => errors),
  ],
  [
    'kubelet_run_podsandbox_errors_total',
    'counter',
    '[ALPHA] Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.',
    ({ runtime }) => ofOperations(runtime.sandboxes, 'runtime_handler', ({ errors }) => errors),
  ],
  [
    'kubelet_pleg_last_seen_seconds',
    'gauge',
    '[ALPHA] Timestamp in seconds when PLEG was last seen active.',
    ({ runtime: { relistedAtMs } }) => (relistedAtMs === undefined ? [] : one(relistedAtMs / 1000)),
  ],
  [
    'kubelet_working_pods',
    'gauge',
    '[ALPHA] Number of pods the kubelet is actually running, broken down by lifecycle phase, whether the pod is desired, orphaned, or runtime only (also orphaned), and whether the pod is static. An orphaned pod has been removed from local configuration or force deleted in the API and consumes resources that are not otherwise visible.',
    workingPods,
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
];

const plain = (seconds: SecondsHistogram): readonly LabelledHistogram[] => [{ seconds, more: {} }];

function byLabel(all: ReadonlyMap<string, SecondsHistogram>, label: string): readonly LabelledHistogram[] {
  return [...all].map(([value, seconds]) => ({ seconds, more: { [label]: value } }));
}

/** Of those that took any: what was only counted has no time. */
function timesOf(counts: ReadonlyMap<string, OperationCount>, label: string): readonly LabelledHistogram[] {
  return [...counts].flatMap(([value, { seconds }]) =>
    seconds.count === 0 ? [] : [{ seconds, more: { [label]: value } }],
  );
}

const starting = 'measured from pod creation timestamp to when all its containers are reported as started';

const histograms: readonly (readonly [
  name: string,
  help: string,
  read: (input: KubeletMetricsInput) => readonly LabelledHistogram[],
])[] = [
  [
    'kubelet_pod_start_duration_seconds',
    '[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
    ({ counts }) => plain(counts.podStart),
  ],
  [
    'kubelet_pod_start_sli_duration_seconds',
    `[ALPHA] Duration in seconds to start a pod, excluding time to pull images and run init containers, ${starting} and observed via watch`,
    ({ counts }) => byLabel(counts.startsSli, 'first_with_network'),
  ],
  [
    'kubelet_pod_start_total_duration_seconds',
    `[ALPHA] Duration in seconds to start a pod since creation, including time to pull images and run init containers, ${starting} and observed via watch`,
    ({ counts }) => byLabel(counts.startsTotal, 'first_with_network'),
  ],
  [
    'kubelet_pod_worker_duration_seconds',
    '[ALPHA] Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync',
    ({ counts }) => [{ seconds: counts.podSync, more: { operation_type: 'sync' } }],
  ],
  [
    'kubelet_eviction_stats_age_seconds',
    '[ALPHA] Time between when stats are collected, and when pod is evicted based on those stats by eviction signal',
    ({ counts }) => byLabel(counts.evictionAges, 'eviction_signal'),
  ],
  [
    'kubelet_containers_per_pod_count',
    '[ALPHA] The number of containers per pod.',
    ({ counts }) => plain(counts.containersPerPod),
  ],
  [
    'kubelet_pleg_relist_duration_seconds',
    '[ALPHA] Duration in seconds for relisting pods in PLEG.',
    ({ runtime }) => plain(runtime.relist),
  ],
  [
    'kubelet_pleg_relist_interval_seconds',
    '[ALPHA] Interval in seconds between relisting in PLEG.',
    ({ runtime }) => plain(runtime.relistInterval),
  ],
  [
    'kubelet_runtime_operations_duration_seconds',
    '[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.',
    ({ runtime }) => timesOf(runtime.operations, 'operation_type'),
  ],
  [
    'kubelet_run_podsandbox_duration_seconds',
    '[ALPHA] Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.',
    ({ runtime }) => timesOf(runtime.sandboxes, 'runtime_handler'),
  ],
];

/** /metrics: what this kubelet knows of itself. Pure. */
export function renderKubeletMetrics(input: KubeletMetricsInput): string {
  return [
    ...renderProcess(input.process),
    ...rows.flatMap(([name, type, help, read]) => family(name, { type, help }, read(input))),
    ...histograms.flatMap(([name, help, read]) => histogramLines(name, help, read(input))),
    '',
  ].join('\n');
}
