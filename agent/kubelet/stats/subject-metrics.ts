import type { Container } from '#api/generated/objects.ts';
import { quantityToMilli, quantityToNumber, tryParseQuantity } from '#api/meta/quantity.ts';
import type { MeasuredUsage } from '#agent/runtime/runtime.ts';
import type { CgroupIo } from '#native/cgroup/cgroup.ts';

/** What uses something: a container; a pod, or the node, as a whole (its container's name then is empty, as cadvisor has it). */
export interface Subject {
  readonly pairs: Readonly<Record<string, string>>;
  readonly usage: MeasuredUsage;
  readonly startedAtMs: number;
  readonly diskBytes: number | undefined;
  /** Of a container. */
  readonly spec: Container | undefined;
}

export interface About {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

export const counter = (help: string): About => ({ type: 'counter', help });
export const gauge = (help: string): About => ({ type: 'gauge', help });

interface SubjectMetric {
  /** Without `container_`. */
  readonly name: string;
  readonly about: About;
  /** undefined: nobody counts it here. */
  readonly read: (subject: Subject, nowMs: number) => number | undefined;
  readonly more?: Readonly<Record<string, string>>;
}

const cpuMetrics: readonly SubjectMetric[] = [
  {
    name: 'cpu_cfs_periods_total',
    about: counter('Number of elapsed enforcement period intervals.'),
    read: ({ usage }) => usage.stats?.cpu?.periodCount,
  },
  {
    name: 'cpu_cfs_throttled_periods_total',
    about: counter('Number of throttled period intervals.'),
    read: ({ usage }) => usage.stats?.cpu?.throttledCount,
  },
  {
    name: 'cpu_cfs_throttled_seconds_total',
    about: counter('Total time duration the container has been throttled.'),
    read: ({ usage }) => seconds(usage.stats?.cpu?.throttledUs),
  },
  {
    name: 'cpu_system_seconds_total',
    about: counter('Cumulative system cpu time consumed in seconds.'),
    read: ({ usage }) => seconds(usage.stats?.cpu?.systemUs),
  },
  {
    name: 'cpu_usage_seconds_total',
    about: counter('Cumulative cpu time consumed in seconds.'),
    read: ({ usage }) => usage.cpuUsageNanoseconds / 1e9,
    more: { cpu: 'total' },
  },
  {
    name: 'cpu_user_seconds_total',
    about: counter('Cumulative user cpu time consumed in seconds.'),
    read: ({ usage }) => seconds(usage.stats?.cpu?.userUs),
  },
];

const memoryMetrics: readonly SubjectMetric[] = [
  {
    name: 'memory_cache',
    about: gauge('Number of bytes of page cache memory.'),
    read: ({ usage }) => usage.stats?.memory?.fileBytes,
  },
  {
    name: 'memory_failcnt',
    about: counter('Number of memory usage hits limits'),
    read: ({ usage }) => usage.stats?.memoryEvents?.max,
  },
  {
    name: 'memory_mapped_file',
    about: gauge('Size of memory mapped files in bytes.'),
    read: ({ usage }) => usage.stats?.memory?.mappedBytes,
  },
  { name: 'memory_rss', about: gauge('Size of RSS in bytes.'), read: ({ usage }) => usage.rssBytes },
  {
    name: 'memory_swap',
    about: gauge('Container swap usage in bytes.'),
    read: ({ usage }) => usage.stats?.memory?.swapBytes,
  },
  {
    name: 'memory_usage_bytes',
    about: gauge('Current memory usage in bytes, including all memory regardless of when it was accessed'),
    read: ({ usage }) => usage.memoryBytes,
  },
  {
    name: 'memory_working_set_bytes',
    about: gauge('Current working set in bytes.'),
    read: ({ usage }) => usage.workingSetBytes,
  },
  {
    name: 'oom_events_total',
    about: counter('Count of out of memory events observed for the container'),
    read: ({ usage }) => usage.stats?.memoryEvents?.oomKill,
  },
];

/** Microseconds (cpu.max); as the kubelet sets it. */
const cpuPeriodUs = 100_000;

const specMetrics: readonly SubjectMetric[] = [
  {
    name: 'spec_cpu_period',
    about: gauge('CPU period of the container.'),
    read: ({ spec }) => (spec === undefined ? undefined : cpuPeriodUs),
  },
  {
    name: 'spec_cpu_quota',
    about: gauge('CPU quota of the container.'),
    read: ({ spec }) => {
      const limit = tryParseQuantity(spec?.resources?.limits?.['cpu']);
      return limit === undefined ? undefined : (quantityToMilli(limit) * cpuPeriodUs) / 1000;
    },
  },
  {
    name: 'spec_memory_limit_bytes',
    about: gauge('Memory limit for the container.'),
    read: ({ spec }) => {
      if (spec === undefined) return undefined;
      const limit = tryParseQuantity(spec.resources?.limits?.['memory']);
      return limit === undefined ? 0 : quantityToNumber(limit);
    },
  },
];

/** All tasks of a subject stood still, or some of them waited (KubeletPSI). */
const pressureMetrics: readonly SubjectMetric[] = (
  [
    ['cpu', 'CPU congestion'],
    ['memory', 'memory congestion'],
    ['io', 'IO congestion'],
  ] as const
).flatMap(([resource, stalled]): readonly SubjectMetric[] => [
  {
    name: `pressure_${resource}_stalled_seconds_total`,
    about: counter(`Total time duration no tasks in the container could make progress due to ${stalled}.`),
    read: ({ usage }) => seconds(usage.stats?.pressure[resource]?.full?.totalUs),
  },
  {
    name: `pressure_${resource}_waiting_seconds_total`,
    about: counter(`Total time duration tasks in the container have waited due to ${stalled}.`),
    read: ({ usage }) => seconds(usage.stats?.pressure[resource]?.some.totalUs),
  },
]);

/** What each subject has one number of, by the names, types and help of cadvisor. */
export const subjectMetrics: readonly SubjectMetric[] = [
  ...cpuMetrics,
  {
    name: 'fs_usage_bytes',
    about: gauge('Number of bytes that are consumed by the container on this filesystem.'),
    read: ({ diskBytes }) => diskBytes,
    more: { device: '' },
  },
  {
    name: 'last_seen',
    about: gauge('Last time a container was seen by the exporter'),
    read: (_subject, nowMs) => Math.floor(nowMs / 1000),
  },
  ...memoryMetrics,
  ...pressureMetrics,
  {
    name: 'processes',
    about: gauge('Number of processes running inside the container.'),
    read: ({ usage }) => usage.processes,
  },
  ...specMetrics,
  {
    name: 'start_time_seconds',
    about: gauge('Start time of the container since unix epoch in seconds.'),
    read: ({ startedAtMs }) => startedAtMs / 1000,
  },
  {
    name: 'threads',
    about: gauge('Number of threads running inside the container'),
    read: ({ usage }) => usage.stats?.pidsCurrent,
  },
];

/** What each of its devices did for a subject. */
export const deviceMetrics: readonly {
  readonly name: string;
  readonly help: string;
  readonly read: (io: CgroupIo) => number;
}[] = [
  { name: 'reads_bytes', help: 'Cumulative count of bytes read', read: ({ readBytes }) => readBytes },
  { name: 'reads', help: 'Cumulative count of reads completed', read: ({ reads }) => reads },
  {
    name: 'writes_bytes',
    help: 'Cumulative count of bytes written',
    read: ({ writtenBytes }) => writtenBytes,
  },
  { name: 'writes', help: 'Cumulative count of writes completed', read: ({ writes }) => writes },
];

function seconds(microseconds: number | undefined): number | undefined {
  return microseconds === undefined ? undefined : microseconds / 1e6;
}
