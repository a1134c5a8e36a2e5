import { describe, expect, it } from 'vitest';
import type { CgroupStats } from '#native/cgroup/cgroup.ts';
import type { ContainerStats } from '#agent/runtime/runtime.ts';
import { metricDescriptors, metricsOf, type MeasuredContainer, type MeasuredSandbox } from './metrics.ts';

const stats: CgroupStats = {
  cpu: {
    ...{ usageUs: 3_500_000, userUs: 2_000_000, systemUs: 1_500_000 },
    ...{ throttledUs: 4_000_000, throttledCount: 5, periodCount: 6 },
  },
  memory: {
    ...{ currentBytes: 100, workingSetBytes: 90, anonBytes: 80, fileBytes: 70, mappedBytes: 60 },
    ...{ swapBytes: 50, pageFaults: 40, majorPageFaults: 30 },
  },
  memoryEvents: { oom: 1, oomKill: 2, max: 3, high: 4 },
  pidsCurrent: 7,
  io: [{ device: '8:0', readBytes: 11, writtenBytes: 12, reads: 13, writes: 14 }],
  pressure: { cpu: { some: { avg10: 0, avg60: 0, avg300: 0, totalUs: 8_000_000 }, full: undefined } },
  isPopulated: true,
};
const used: ContainerStats = {
  ...{ id: 'c1', name: 'main', startedAtMs: 5_000, pid: 9, cpuUsageNanoseconds: 3_500_000_000 },
  ...{ memoryBytes: 100, workingSetBytes: 90, rssBytes: 80, pageFaults: 40, majorPageFaults: 30 },
  ...{ processes: 2, stats },
};
const resources = {
  ...{ cpu_period: 100_000, cpu_quota: 50_000, cpu_shares: 512, memory_limit_in_bytes: 1000 },
  ...{ memory_swap_limit_in_bytes: -1, unified: { 'memory.min': '20' } },
};
const sandbox: MeasuredSandbox = {
  view: { id: 's1', metadata: { name: 'p', namespace: 'n', uid: 'u', attempt: 0 } },
  interfaces: [
    {
      ...{ name: 'eth0', rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4 },
      ...{ txBytes: 5, txPackets: 6, txErrors: 7, txDropped: 8 },
    },
  ],
  containers: [
    {
      view: {
        ...{ id: 'c1', metadata: { name: 'main', attempt: 0 } },
        image: { image: 'sha256:1', user_specified_image: 'nginx' },
        // What is read of it.
        record: { resources, launch: { resources: { pidsMax: 64 } } },
      } as unknown as MeasuredContainer['view'],
      ...{ used, diskBytes: 15, openFilesMax: 1024 },
      fileSystem: { capacityBytes: 16, availableBytes: 1, inodes: 17, inodesFree: 18 },
    },
  ],
  devices: new Map([['8:0', '/dev/sda']]),
  nowMs: 9_999,
};

/** `name{label=value,…} value` of each, without the labels of all. */
function linesOf(of: MeasuredSandbox): readonly string[] {
  const { metrics = [], container_metrics: containers = [] } = metricsOf(of, 1);
  return [...metrics, ...containers.flatMap(({ metrics: own = [] }) => own)].map((metric) => {
    const { name = '', label_values: values = [], value } = metric;
    const keys = metricDescriptors.find((each) => each.name === name)?.label_keys ?? [];
    expect(values, name).toHaveLength(keys.length);
    const more = keys.slice(5).map((key, at) => `${key}=${values[at + 5]}`);
    return `${name}{${more.join(',')}} ${value?.value}`;
  });
}

describe('metricsOf()', () => {
  it.each([
    'container_cpu_usage_seconds_total{cpu=total} 3',
    'container_cpu_user_seconds_total{} 2',
    'container_cpu_system_seconds_total{} 1',
    'container_cpu_cfs_periods_total{} 6',
    'container_cpu_cfs_throttled_periods_total{} 5',
    'container_cpu_cfs_throttled_seconds_total{} 4',
    'container_memory_cache{} 70',
    'container_memory_failcnt{} 3',
    'container_memory_failures_total{failure_type=pgfault,scope=container} 40',
    'container_memory_failures_total{failure_type=pgmajfault,scope=hierarchy} 30',
    'container_memory_mapped_file{} 60',
    'container_memory_rss{} 80',
    'container_memory_swap{} 50',
    'container_memory_usage_bytes{} 100',
    'container_memory_working_set_bytes{} 90',
    'container_oom_events_total{} 2',
    'container_fs_usage_bytes{} 15',
    'container_fs_limit_bytes{} 16',
    'container_fs_inodes_total{} 17',
    'container_fs_inodes_free{} 18',
    'container_fs_reads_bytes_total{device=/dev/sda} 11',
    'container_fs_writes_total{device=/dev/sda} 14',
    'container_processes{} 2',
    'container_threads{} 7',
    'container_threads_max{} 64',
    'container_ulimits_soft{ulimit=max_open_files} 1024',
    'container_last_seen{} 9',
    'container_start_time_seconds{} 5',
    'container_spec_cpu_period{} 100000',
    'container_spec_cpu_quota{} 50000',
    'container_spec_cpu_shares{} 512',
    'container_spec_memory_limit_bytes{} 1000',
    'container_spec_memory_reservation_limit_bytes{} 20',
    'container_spec_memory_swap_limit_bytes{} 0',
    'container_pressure_cpu_waiting_seconds_total{} 8',
    'container_network_receive_bytes_total{interface=eth0} 1',
    'container_network_receive_packets_dropped_total{interface=eth0} 4',
    'container_network_transmit_packets_total{interface=eth0} 6',
    'container_network_transmit_errors_total{interface=eth0} 7',
  ])('tells %s', (line) => {
    expect(linesOf(sandbox)).toContain(line);
  });

  it('names the container, its image and its pod', () => {
    const { metrics, container_metrics: containers } = metricsOf(sandbox, 1);
    expect(metrics?.[0]?.label_values?.slice(0, 5)).toEqual(['s1', '', 'n', 'p', 'POD']);
    expect(containers?.[0]?.metrics?.[0]?.label_values?.slice(0, 5)).toEqual([
      'c1',
      'nginx',
      'n',
      'p',
      'main',
    ]);
  });

  it('says nothing of what nobody counts', () => {
    const { stats: _, ...less } = used;
    const containers = sandbox.containers.map((container) => ({
      ...{ ...container, used: less, fileSystem: undefined, openFilesMax: -1 },
    }));
    const lines = linesOf({ ...sandbox, containers });
    expect(lines.filter((line) => /cfs|fs_limit|ulimits|pressure/.test(line))).toEqual([]);
  });

  it('describes each name once', () => {
    const names = metricDescriptors.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(49);
  });
});
