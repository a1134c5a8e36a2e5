/** ListPodSandboxMetrics: cadvisor's metrics, in the whole numbers that CRI has (KEP-2371). Pure. */
import { networkCounters } from '#agent/kubelet/stats/cadvisor-metrics.ts';
import type { InterfaceCounters } from '#agent/kubelet/stats/interface-counters.ts';
import type { FileSystemFacts } from '#agent/kubelet/stats/stats-input.ts';
import { deviceMetrics, subjectMetrics } from '#agent/kubelet/stats/subject-metrics.ts';
import type { ContainerStats } from '#agent/runtime/runtime.ts';
import type {
  LinuxContainerResources,
  MetricDescriptor,
  MetricType,
  PodSandboxMetrics,
} from '#proto/cri/api.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { ContainerView, SandboxView } from './views.ts';

/** A container that runs, and what it uses. */
export interface MeasuredContainer {
  readonly view: Pick<ContainerView, 'id' | 'metadata' | 'image' | 'record'>;
  readonly used: ContainerStats;
  /** That it wrote to its own file system, and the one which that is on. */
  readonly diskBytes: number;
  readonly fileSystem: FileSystemFacts | undefined;
  /** Of its first process (RLIMIT_NOFILE), soft; -1: without end. */
  readonly openFilesMax: number | undefined;
}

export interface MeasuredSandbox {
  readonly view: Pick<SandboxView, 'id' | 'metadata'>;
  /** None of the host's. */
  readonly interfaces: readonly InterfaceCounters[];
  readonly containers: readonly MeasuredContainer[];
  /** Names of block devices by `major:minor`. */
  readonly devices: ReadonlyMap<string, string>;
  readonly nowMs: number;
}

type Label = Readonly<Record<string, string>>;

interface Counted {
  readonly labels?: Label;
  /** Undefined: nobody counts it here. */
  readonly value: number | undefined;
}

interface Row {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** Of labels beyond those of all. */
  readonly keys?: readonly string[];
  readonly read: (container: MeasuredContainer, sandbox: MeasuredSandbox) => readonly Counted[];
}

const one = (value: number | undefined): readonly Counted[] => [{ value }];

/** What the kubelet has of each subject too; the rows of a pod's spec are of the resources that a client of CRI asked for, below. */
const subjectRows: readonly Row[] = subjectMetrics
  .filter(({ name }) => !name.startsWith('spec_'))
  .map(({ name, about, read, more = {} }) => {
    // An empty label is none.
    const labels = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== ''));
    return {
      name: `container_${name}`,
      help: about.help,
      type: about.type === 'counter' ? 'COUNTER' : 'GAUGE',
      keys: Object.keys(labels),
      read: ({ used, diskBytes }, { nowMs }) => {
        const { startedAtMs } = used;
        return [
          { labels, value: read({ pairs: {}, usage: used, startedAtMs, diskBytes, spec: undefined }, nowMs) },
        ];
      },
    };
  });

const failureRow: Row = {
  name: 'container_memory_failures_total',
  help: 'Cumulative count of memory allocation failures.',
  type: 'COUNTER',
  keys: ['failure_type', 'scope'],
  // cgroup v2 counts what is below with it.
  read: ({ used }) =>
    ['container', 'hierarchy'].flatMap((scope) => [
      { labels: { failure_type: 'pgfault', scope }, value: used.pageFaults },
      { labels: { failure_type: 'pgmajfault', scope }, value: used.majorPageFaults },
    ]),
};

const deviceRows: readonly Row[] = deviceMetrics.map(({ name, help, read }) => ({
  name: `container_fs_${name}_total`,
  help,
  type: 'COUNTER',
  keys: ['device'],
  read: ({ used }, { devices }) =>
    (used.stats?.io ?? []).map((io) => ({
      labels: { device: devices.get(io.device) ?? io.device },
      value: read(io),
    })),
}));

const gauge = (
  name: string,
  help: string,
  read: (container: MeasuredContainer) => number | undefined,
): Row => ({
  name: `container_${name}`,
  help,
  type: 'GAUGE',
  read: (container) => one(read(container)),
});

/** What a client of CRI asked for; no limit is 0. */
const resource =
  (read: (resources: LinuxContainerResources) => number) =>
  ({ view: { record } }: MeasuredContainer): number | undefined => {
    const resources = record?.resources;
    return resources === undefined || resources === null ? undefined : Math.max(0, read(resources));
  };

const gaugeRows: readonly Row[] = [
  gauge('fs_inodes_free', 'Number of free inodes.', ({ fileSystem }) => fileSystem?.inodesFree),
  gauge('fs_inodes_total', 'Total number of inodes.', ({ fileSystem }) => fileSystem?.inodes),
  gauge('fs_limit_bytes', 'Filesystem limit in bytes.', ({ fileSystem }) => fileSystem?.capacityBytes),
  gauge(
    'threads_max',
    'Maximum number of threads allowed inside the container, infinity if value is zero',
    ({ view: { record } }) => record && Math.max(0, record.launch.resources.pidsMax ?? 0),
  ),
  gauge(
    'spec_cpu_period',
    'CPU period of the container.',
    resource(({ cpu_period: period }) => period),
  ),
  gauge(
    'spec_cpu_shares',
    'CPU share of the container.',
    resource(({ cpu_shares: shares }) => shares),
  ),
  gauge('spec_cpu_quota', 'CPU quota of the container.', (container) => {
    const quota = resource(({ cpu_quota: us }) => us)(container);
    return quota === 0 ? undefined : quota;
  }),
  gauge(
    'spec_memory_limit_bytes',
    'Memory limit for the container in bytes.',
    resource(({ memory_limit_in_bytes: bytes }) => bytes),
  ),
  gauge(
    'spec_memory_swap_limit_bytes',
    'Memory swap limit for the container.',
    resource(({ memory_swap_limit_in_bytes: bytes }) => bytes),
  ),
  gauge(
    'spec_memory_reservation_limit_bytes',
    'Memory reservation limit for the container.',
    resource(({ unified }) => Number(unified['memory.min'] ?? 0) || 0),
  ),
];

const ulimitRow: Row = {
  name: 'container_ulimits_soft',
  help: 'Soft ulimit values for the container root process. Unlimited if -1, except priority and nice',
  type: 'GAUGE',
  keys: ['ulimit'],
  // CRI's numbers have no sign.
  read: ({ openFilesMax }) => [
    {
      labels: { ulimit: 'max_open_files' },
      value: openFilesMax === undefined || openFilesMax < 0 ? undefined : openFilesMax,
    },
  ],
};

const containerRows: readonly Row[] = [...subjectRows, failureRow, ...deviceRows, ...gaugeRows, ulimitRow];

const interfaceRows = networkCounters.map((row) => ({ ...row, name: `container_network_${row.name}_total` }));

/** Labels of all, as cri-o has them. */
const baseKeys = ['id', 'image', 'namespace', 'pod', 'container'] as const;
/** What a sandbox's container is called in `container`. */
const sandboxContainer = 'POD';

export const metricDescriptors: readonly Outgoing<MetricDescriptor>[] = [
  ...containerRows.map(({ name, help, keys = [] }) => ({ name, help, label_keys: [...baseKeys, ...keys] })),
  ...interfaceRows.map(({ name, help }) => ({ name, help, label_keys: [...baseKeys, 'interface'] })),
];

export function metricsOf(sandbox: MeasuredSandbox, timestamp: number): Outgoing<PodSandboxMetrics> {
  const { view, interfaces, containers } = sandbox;
  const { name: pod, namespace } = view.metadata;
  return {
    pod_sandbox_id: view.id,
    metrics: interfaceRows.flatMap(({ name, read }) =>
      interfaces.map((counters) => ({
        ...{ name, timestamp, metric_type: 'COUNTER' as const },
        label_values: [view.id, '', namespace, pod, sandboxContainer, counters.name],
        value: { value: read(counters) },
      })),
    ),
    container_metrics: containers.map((container) => {
      const { id, image, metadata } = container.view;
      const base = [id, image.user_specified_image || image.image, namespace, pod, metadata.name];
      return {
        container_id: id,
        metrics: containerRows.flatMap(({ name, type, keys = [], read }) =>
          read(container, sandbox).flatMap(({ labels = {}, value }) => {
            if (value === undefined) return [];
            const values = [...base, ...keys.map((key) => labels[key] ?? '')];
            const whole = { value: Math.floor(value) };
            return [{ name, timestamp, metric_type: type, label_values: values, value: whole }];
          }),
        ),
      };
    }),
  };
}
