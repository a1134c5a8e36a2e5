import type { Container } from '#api/generated/objects.ts';
import type { CgroupUsage } from '#agent/runtime/runtime.ts';
import { family, labels, type Sample } from './exposition.ts';
import type { InterfaceCounters } from './interface-counters.ts';
import type { PodFacts, StatsInput } from './stats-input.ts';
import { counter, deviceMetrics, gauge, subjectMetrics, type Subject } from './subject-metrics.ts';

/** /metrics/cadvisor: what dashboards of containers read, by the names of cadvisor's. Pure. */
export function renderCadvisorMetrics(input: StatsInput): string {
  const { machine, nowMs } = input;
  const subjects = [...input.pods.flatMap(subjectsOf), nodeSubject(input)];
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
    ...ioMetrics(subjects, input),
    ...fileSystemMetrics(input),
    ...networkMetrics(input),
    ...machineMetrics(input),
    ...family('container_scrape_error', gauge(errors), [['', 0, undefined]]),
    '',
  ].join('\n');
}

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

/** What devices did for containers; of the whole node nobody counts it by cgroup. */
function ioMetrics(subjects: readonly Subject[], { devices, nowMs }: StatsInput): readonly string[] {
  return deviceMetrics.flatMap(({ name, help, read }) =>
    family(
      `container_fs_${name}_total`,
      counter(help),
      subjects.flatMap(({ pairs, usage }) =>
        (usage.stats?.io ?? []).map((io): Sample => {
          const device = devices.get(io.device) ?? io.device;
          return [labels({ ...pairs, device }), read(io), nowMs];
        }),
      ),
    ),
  );
}

/** The file system that containers and images are on. */
function fileSystemMetrics({ disk, nowMs }: StatsInput): readonly string[] {
  const one = (name: string, help: string, value: number): readonly string[] =>
    family(`container_fs_${name}`, gauge(help), [[labels({ ...nodePairs, device: '' }), value, nowMs]]);
  return [
    ...one(
      'limit_bytes',
      'Number of bytes that can be consumed by the container on this filesystem.',
      disk.capacityBytes,
    ),
    ...one('inodes_total', 'Number of Inodes', disk.inodes),
    ...one('inodes_free', 'Number of available Inodes', disk.inodesFree),
  ];
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

export const networkCounters: readonly {
  readonly name: string;
  readonly help: string;
  readonly read: (counters: InterfaceCounters) => number;
}[] = [
  { name: 'receive_bytes', help: 'Cumulative count of bytes received', read: ({ rxBytes }) => rxBytes },
  {
    name: 'receive_errors',
    help: 'Cumulative count of errors encountered while receiving',
    read: ({ rxErrors }) => rxErrors,
  },
  {
    name: 'receive_packets',
    help: 'Cumulative count of packets received',
    read: ({ rxPackets }) => rxPackets,
  },
  {
    name: 'receive_packets_dropped',
    help: 'Cumulative count of packets dropped while receiving',
    read: ({ rxDropped }) => rxDropped,
  },
  { name: 'transmit_bytes', help: 'Cumulative count of bytes transmitted', read: ({ txBytes }) => txBytes },
  {
    name: 'transmit_errors',
    help: 'Cumulative count of errors encountered while transmitting',
    read: ({ txErrors }) => txErrors,
  },
  {
    name: 'transmit_packets',
    help: 'Cumulative count of packets transmitted',
    read: ({ txPackets }) => txPackets,
  },
  {
    name: 'transmit_packets_dropped',
    help: 'Cumulative count of packets dropped while transmitting',
    read: ({ txDropped }) => txDropped,
  },
];

function networkMetrics({ pods, nodeInterfaces, nowMs }: StatsInput): readonly string[] {
  const all = [
    ...pods.map((facts) => ({ pairs: podPairs(facts), interfaces: facts.interfaces })),
    { pairs: nodePairs, interfaces: nodeInterfaces },
  ];
  return networkCounters.flatMap(({ name, help, read }) =>
    family(
      `container_network_${name}_total`,
      counter(help),
      all.flatMap(({ pairs, interfaces }) =>
        interfaces.map((one): Sample => [labels({ ...pairs, interface: one.name }), read(one), nowMs]),
      ),
    ),
  );
}

/** Of the node as a whole. */
const nodePairs = { container: '', id: '/', image: '', name: '', namespace: '', pod: '' };

function nodeSubject({ nodeCpuNanoseconds, nodeMemory, machine, startedAtMs, disk }: StatsInput): Subject {
  const memoryBytes = machine.memoryBytes - machine.memoryAvailableBytes;
  const usage = {
    ...{ cpuUsageNanoseconds: nodeCpuNanoseconds, memoryBytes, workingSetBytes: memoryBytes },
    ...{ rssBytes: nodeMemory.rssBytes, pageFaults: nodeMemory.pageFaults },
    ...{ majorPageFaults: nodeMemory.majorPageFaults, processes: machine.pidsUsed },
  };
  const diskBytes = disk.capacityBytes - disk.availableBytes;
  return { pairs: nodePairs, usage, startedAtMs, diskBytes, spec: undefined };
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
  const { containers: main = [], initContainers: init = [] } = pod.spec ?? {};
  const specs: ReadonlyMap<string, Container> = new Map([...init, ...main].map((spec) => [spec.name, spec]));
  const containers = stats.containers.map((usage): Subject => ({
    spec: specs.get(usage.name),
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
  return [
    ...containers,
    { pairs: podPairs(facts), usage: stats, startedAtMs, diskBytes: undefined, spec: undefined },
  ];
}
