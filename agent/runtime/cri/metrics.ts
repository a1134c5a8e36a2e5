/** ListPodSandboxMetrics: cadvisor's metrics that CRI's whole numbers can hold. Pure. */
import type {
  ContainerStats,
  MetricDescriptor,
  MetricType,
  NetworkInterfaceUsage,
  PodSandboxMetrics,
  PodSandboxStats,
} from '#proto/cri/api.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { SandboxView } from './views.ts';

type Count = { readonly value?: number } | null | undefined;
type Used = Pick<Outgoing<ContainerStats>, 'cpu' | 'memory' | 'writable_layer'>;

interface Row<T> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly read: (of: T) => Count;
  /** Labels of this row alone, beyond those of all. */
  readonly labels?: Readonly<Record<string, string>>;
}

const ofContainers: readonly Row<Used>[] = [
  {
    name: 'container_cpu_usage_nanoseconds_total',
    help: 'Processor time used.',
    type: 'COUNTER',
    read: ({ cpu }) => cpu?.usage_core_nano_seconds,
  },
  {
    name: 'container_memory_usage_bytes',
    help: 'Memory in use, with what can be reclaimed.',
    type: 'GAUGE',
    read: ({ memory }) => memory?.usage_bytes,
  },
  {
    name: 'container_memory_working_set_bytes',
    help: 'Memory in use without inactive pages of files.',
    type: 'GAUGE',
    read: ({ memory }) => memory?.working_set_bytes,
  },
  {
    name: 'container_memory_rss',
    help: 'Anonymous memory in bytes.',
    type: 'GAUGE',
    read: ({ memory }) => memory?.rss_bytes,
  },
  {
    name: 'container_memory_failures_total',
    help: 'Page faults.',
    type: 'COUNTER',
    read: ({ memory }) => memory?.page_faults,
    labels: { failure_type: 'pgfault' },
  },
  {
    name: 'container_memory_failures_total',
    help: 'Page faults.',
    type: 'COUNTER',
    read: ({ memory }) => memory?.major_page_faults,
    labels: { failure_type: 'pgmajfault' },
  },
  {
    name: 'container_fs_usage_bytes',
    help: 'Bytes that the container wrote to its own file system.',
    type: 'GAUGE',
    read: ({ writable_layer: layer }) => layer?.used_bytes,
  },
];

const ofInterfaces: readonly Row<Outgoing<NetworkInterfaceUsage>>[] = [
  {
    name: 'container_network_receive_bytes_total',
    help: 'Bytes received.',
    type: 'COUNTER',
    read: ({ rx_bytes: bytes }) => bytes,
  },
  {
    name: 'container_network_transmit_bytes_total',
    help: 'Bytes sent.',
    type: 'COUNTER',
    read: ({ tx_bytes: bytes }) => bytes,
  },
  {
    name: 'container_network_receive_errors_total',
    help: 'Errors while receiving.',
    type: 'COUNTER',
    read: ({ rx_errors: errors }) => errors,
  },
  {
    name: 'container_network_transmit_errors_total',
    help: 'Errors while sending.',
    type: 'COUNTER',
    read: ({ tx_errors: errors }) => errors,
  },
];

const processRow: Row<Outgoing<PodSandboxStats>> = {
  name: 'container_processes',
  help: 'Processes in the pod.',
  type: 'GAUGE',
  read: ({ linux }) => linux?.process?.process_count,
};

const podKeys = ['pod', 'namespace', 'id'] as const;
const containerKeys = [...podKeys, 'container'] as const;

/** One of each name. */
export const metricDescriptors: readonly Outgoing<MetricDescriptor>[] = [
  ...[...new Map(ofContainers.map((row) => [row.name, row])).values()].map(({ name, help, labels = {} }) => ({
    name,
    help,
    label_keys: [...containerKeys, ...Object.keys(labels)],
  })),
  ...ofInterfaces.map(({ name, help }) => ({ name, help, label_keys: [...podKeys, 'interface'] })),
  { name: processRow.name, help: processRow.help, label_keys: podKeys },
];

/** `timestamp`: nanoseconds. */
export function metricsOf(
  stats: Outgoing<PodSandboxStats>,
  view: Pick<SandboxView, 'id' | 'metadata'>,
  timestamp: number,
): Outgoing<PodSandboxMetrics> {
  const { name, namespace } = view.metadata;
  const pod = [name, namespace, view.id];
  const render = <T>(row: Row<T>, of: T, values: readonly string[]): readonly object[] => {
    const count = row.read(of);
    if (count === null || count === undefined) return [];
    const labels = [...values, ...Object.values(row.labels ?? {})];
    return [{ name: row.name, timestamp, metric_type: row.type, label_values: labels, value: count }];
  };
  const { interfaces = [] } = stats.linux?.network ?? {};
  return {
    pod_sandbox_id: view.id,
    metrics: [
      ...interfaces.flatMap((each) =>
        ofInterfaces.flatMap((row) => render(row, each, [...pod, each.name ?? ''])),
      ),
      ...render(processRow, stats, pod),
    ],
    container_metrics: (stats.linux?.containers ?? []).map((container) => ({
      container_id: container.attributes?.id ?? '',
      metrics: ofContainers.flatMap((row) =>
        render(row, container, [...pod, container.attributes?.metadata?.name ?? '']),
      ),
    })),
  };
}
