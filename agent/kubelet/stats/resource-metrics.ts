import type { Pod } from '#api/generated/objects.ts';
import { family as plainFamily, labels, type Sample } from './exposition.ts';
import type { StatsInput } from './stats-input.ts';

/** /metrics/resource: what metrics-server reads. Pure. */
export function renderResourceMetrics(input: StatsInput): string {
  const { machine, nowMs } = input;
  const used = machine.memoryBytes - machine.memoryAvailableBytes;
  const containers = input.pods.flatMap(({ pod, stats }) =>
    stats.containers.map((container) => ({
      labels: labels({ container: container.name, ...podLabels(pod) }),
      container,
    })),
  );
  const pods = input.pods.map(({ pod, stats }) => ({ labels: labels(podLabels(pod)), stats }));
  return [
    ...family(
      'node_cpu_usage_seconds_total',
      'counter',
      'Cumulative cpu time consumed by the node in core-seconds',
      [['', input.nodeCpuNanoseconds / 1e9, nowMs]],
    ),
    ...family('node_memory_working_set_bytes', 'gauge', 'Current working set of the node in bytes', [
      ['', used, nowMs],
    ]),
    ...family(
      'container_cpu_usage_seconds_total',
      'counter',
      'Cumulative cpu time consumed by the container in core-seconds',
      containers.map(({ labels: text, container }) => [text, container.cpuUsageNanoseconds / 1e9, nowMs]),
    ),
    ...family(
      'container_memory_working_set_bytes',
      'gauge',
      'Current working set of the container in bytes',
      containers.map(({ labels: text, container }) => [text, container.workingSetBytes, nowMs]),
    ),
    ...family(
      'container_start_time_seconds',
      'gauge',
      'Start time of the container since unix epoch in seconds',
      containers.map(({ labels: text, container }) => [text, container.startedAtMs / 1000, undefined]),
    ),
    ...family(
      'pod_cpu_usage_seconds_total',
      'counter',
      'Cumulative cpu time consumed by the pod in core-seconds',
      pods.map(({ labels: text, stats }) => [text, stats.cpuUsageNanoseconds / 1e9, nowMs]),
    ),
    ...family(
      'pod_memory_working_set_bytes',
      'gauge',
      'Current working set of the pod in bytes',
      pods.map(({ labels: text, stats }) => [text, stats.workingSetBytes, nowMs]),
    ),
    ...family(
      'resource_scrape_error',
      'gauge',
      '1 if there was an error while getting container metrics, 0 otherwise',
      [['', 0, undefined]],
    ),
    '',
  ].join('\n');
}

function podLabels(pod: Pod): Readonly<Record<string, string>> {
  return { namespace: pod.metadata?.namespace ?? '', pod: pod.metadata?.name ?? '' };
}

function family(name: string, type: string, help: string, samples: readonly Sample[]): readonly string[] {
  return plainFamily(name, { type, help: `[STABLE] ${help}` }, samples);
}
