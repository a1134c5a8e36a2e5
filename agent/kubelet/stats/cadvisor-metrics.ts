import type { CgroupUsage } from '#agent/runtime/runtime.ts';
import { family, labels, type Sample } from './exposition.ts';
import type { InterfaceCounters } from './interface-counters.ts';
import type { PodFacts, StatsInput } from './stats-input.ts';

/** What uses something: a container, or a pod as a whole (its name then is empty, as cadvisor has it). */
interface Subject {
  readonly pairs: Readonly<Record<string, string>>;
  readonly usage: CgroupUsage;
  readonly startedAtMs: number;
  readonly diskBytes: number | undefined;
}

/** /metrics/cadvisor: what dashboards of containers read, by the names of cadvisor's. Pure. */
export function renderCadvisorMetrics(input: StatsInput): string {
  const { machine, nowMs } = input;
  const subjects = input.pods.flatMap(subjectsOf);
  const versions = { cadvisorVersion: '', kernelVersion: machine.kernelRelease, osVersion: machine.osImage };
  const errors = '1 if there was an error while getting container metrics, 0 otherwise';
  return [
    ...family('cadvisor_version_info', gauge('A metric with a constant 1 value labeled by versions.'), [
      [labels(versions), 1, undefined],
    ]),
    ...subjectMetrics.flatMap(({ name, about, read, more }) =>
      family(
        `container_${name}`,
        about,
        subjects.flatMap((subject): Sample[] => {
          const value = read(subject, nowMs);
          return value === undefined ? [] : [[labels({ ...subject.pairs, ...more }), value, nowMs]];
        }),
      ),
    ),
    ...failureMetrics(subjects, nowMs),
    ...networkMetrics(input),
    ...machineMetrics(input),
    ...family('container_scrape_error', gauge(errors), [['', 0, undefined]]),
    '',
  ].join('\n');
}

interface About {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

const counter = (help: string): About => ({ type: 'counter', help });
const gauge = (help: string): About => ({ type: 'gauge', help });

const subjectMetrics: readonly {
  readonly name: string;
  readonly about: About;
  readonly read: (subject: Subject, nowMs: number) => number | undefined;
  readonly more?: Readonly<Record<string, string>>;
}[] = [
  {
    name: 'cpu_usage_seconds_total',
    about: counter('Cumulative cpu time consumed in seconds.'),
    read: ({ usage }) => usage.cpuUsageNanoseconds / 1e9,
    more: { cpu: 'total' },
  },
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
  { name: 'memory_rss', about: gauge('Size of RSS in bytes.'), read: ({ usage }) => usage.rssBytes },
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
    name: 'processes',
    about: gauge('Number of processes running inside the container.'),
    read: ({ usage }) => usage.processes,
  },
  {
    name: 'start_time_seconds',
    about: gauge('Start time of the container since unix epoch in seconds.'),
    read: ({ startedAtMs }) => startedAtMs / 1000,
  },
];

function failureMetrics(subjects: readonly Subject[], nowMs: number): readonly string[] {
  const of = (type: string, read: (usage: CgroupUsage) => number): Sample[] =>
    subjects.map(({ pairs, usage }) => [
      labels({ ...pairs, failure_type: type, scope: 'container' }),
      read(usage),
      nowMs,
    ]);
  return family(
    'container_memory_failures_total',
    counter('Cumulative count of memory allocation failures.'),
    [...of('pgfault', (usage) => usage.pageFaults), ...of('pgmajfault', (usage) => usage.majorPageFaults)],
  );
}

function machineMetrics({ machine }: StatsInput): readonly string[] {
  const pairs = labels({
    boot_id: machine.bootId,
    machine_id: machine.machineId,
    system_uuid: machine.systemUuid,
  });
  const gauge = (name: string, help: string, value: number): readonly string[] =>
    family(name, { type: 'gauge', help }, [[pairs, value, undefined]]);
  return [
    ...gauge('machine_cpu_cores', 'Number of logical CPU cores.', machine.cpuCount),
    ...gauge('machine_memory_bytes', 'Amount of memory installed on the machine.', machine.memoryBytes),
  ];
}

function networkMetrics({ pods, nowMs }: StatsInput): readonly string[] {
  const metric = (
    name: string,
    help: string,
    read: (counters: InterfaceCounters) => number,
  ): readonly string[] =>
    family(
      `container_network_${name}_total`,
      { type: 'counter', help },
      pods.flatMap((facts) =>
        facts.interfaces.map((one): Sample => [
          labels({ ...podPairs(facts), interface: one.name }),
          read(one),
          nowMs,
        ]),
      ),
    );
  return [
    ...metric('receive_bytes', 'Cumulative count of bytes received', ({ rxBytes }) => rxBytes),
    ...metric(
      'receive_errors',
      'Cumulative count of errors encountered while receiving',
      ({ rxErrors }) => rxErrors,
    ),
    ...metric('transmit_bytes', 'Cumulative count of bytes transmitted', ({ txBytes }) => txBytes),
    ...metric(
      'transmit_errors',
      'Cumulative count of errors encountered while transmitting',
      ({ txErrors }) => txErrors,
    ),
  ];
}

function podPairs({ pod }: PodFacts): Readonly<Record<string, string>> {
  const { name = '', namespace = '', uid = '' } = pod.metadata ?? {};
  return { container: '', id: `/pod${uid}`, image: '', name: '', namespace, pod: name };
}

function subjectsOf(facts: PodFacts): readonly Subject[] {
  const { pod, stats, rootfs } = facts;
  const statuses = [pod.status?.containerStatuses, pod.status?.initContainerStatuses].flatMap(
    (list) => list ?? [],
  );
  const containers = stats.containers.map((usage): Subject => ({
    pairs: {
      ...podPairs(facts),
      container: usage.name,
      id: `/pod${pod.metadata?.uid ?? ''}/${usage.id}`,
      image: statuses.find(({ name }) => name === usage.name)?.image ?? '',
      name: usage.id,
    },
    usage,
    startedAtMs: usage.startedAtMs,
    diskBytes: rootfs.get(usage.name)?.bytes,
  }));
  const startedAtMs = Date.parse(pod.status?.startTime ?? '') || 0;
  return [...containers, { pairs: podPairs(facts), usage: stats, startedAtMs, diskBytes: undefined }];
}
