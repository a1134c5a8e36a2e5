import { describe, expect, it } from 'vitest';
import { ProbeCounts } from '#agent/kubelet/probe/probe-counts.ts';
import { CpuRates } from './cpu-rates.ts';
import { parseStats } from '#native/cgroup/parse.ts';
import { parseInterfaceCounters } from './interface-counters.ts';
import { renderCadvisorMetrics } from './cadvisor-metrics.ts';
import { renderResourceMetrics } from './resource-metrics.ts';
import type { StatsInput } from './stats-input.ts';
import { cpuAndMemoryOf, renderSummary } from './summary.ts';

const usage = {
  ...{ cpuUsageNanoseconds: 5_000_000_000, memoryBytes: 400, workingSetBytes: 300, rssBytes: 200 },
  ...{ pageFaults: 7, majorPageFaults: 1, processes: 2 },
};
const eth0 = { name: 'eth0', rxBytes: 10, rxErrors: 1, txBytes: 20, txErrors: 2 };
const counted = { ...eth0, rxPackets: 2, rxDropped: 4, txPackets: 3, txDropped: 5 };
const stats = parseStats({
  events: 'populated 1\n',
  cpuStat: 'usage_usec 5\nuser_usec 3000000\nsystem_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n',
  memoryCurrent: '400\n',
  memoryStat: 'anon 200\nfile 150\nfile_mapped 20\n',
  memoryEvents: 'oom_kill 1\nmax 6\n',
  memorySwap: '8\n',
  pidsCurrent: '12\n',
  ioStat: '254:0 rbytes=1 wbytes=2 rios=3 wios=4\n',
  cpuPressure: 'some avg10=1.5 avg60=0 avg300=0 total=3000000\nfull avg10=0 avg60=0 avg300=0 total=1000000\n',
  ioPressure: 'some avg10=0 avg60=0 avg300=0 total=7\n',
});
const stallPaths = ['full', 'some'].flatMap((line) =>
  ['total', 'avg10', 'avg60', 'avg300'].map((field) => `psi.${line}.${field}`),
);
const pressurePaths = [
  'io.time',
  ...['cpu', 'io'].flatMap((resource) => stallPaths.map((field) => `${resource}.${field}`)),
];
const input: StatsInput = {
  nodeName: 'n',
  nowMs: 20_000,
  startedAtMs: 10_000,
  bootedAtMs: 0,
  machine: {
    ...{
      cpuCount: 2,
      memoryBytes: 4000,
      memoryAvailableBytes: 1000,
      diskBytes: 900,
      diskAvailableBytes: 500,
    },
    ...{
      pidsMax: 99,
      pidsUsed: 9,
      machineId: '',
      systemUuid: '',
      bootId: '',
      kernelRelease: '',
      osImage: '',
    },
    architecture: 'amd64',
  },
  nodeCpuNanoseconds: 8_000_000_000,
  nodeMemory: { rssBytes: 70, pageFaults: 71, majorPageFaults: 72, swapBytes: 50, swapFreeBytes: 40 },
  nodeInterfaces: [{ ...counted, name: 'ens1' }],
  disk: { capacityBytes: 900, availableBytes: 500, inodes: 90, inodesFree: 50 },
  agent: { cpuUsageNanoseconds: 1_000_000_000, rssBytes: 80, pageFaults: 81, majorPageFaults: 82 },
  imageBytes: 123,
  devices: new Map([['254:0', '/dev/vda']]),
  pods: [
    {
      pod: {
        metadata: { name: 'p', namespace: 'd', uid: 'u' },
        spec: { containers: [{ name: 'c', resources: { limits: { cpu: '500m', memory: '1Ki' } } }] },
        status: { startTime: '1970-01-01T00:00:10Z' },
      },
      stats: {
        ...usage,
        containers: [{ ...usage, stats, id: 'c1', name: 'c', startedAtMs: 15_000, pid: 1 }],
      },
      interfaces: [counted],
      ownVolumes: [
        {
          name: 'scratch',
          fileSystem: { capacityBytes: 9, availableBytes: 5, inodes: 8, inodesFree: 6 },
          used: { bytes: 2, inodes: 2 },
          isOnDisk: true,
        },
        {
          name: 'memory',
          fileSystem: { capacityBytes: 4, availableBytes: 3, inodes: 8, inodesFree: 6 },
          used: { bytes: 1, inodes: 1 },
          isOnDisk: false,
        },
      ],
      hosts: { bytes: 4, inodes: 1 },
      volumes: [
        {
          name: 'data',
          claim: { namespace: 'b', name: 'c' },
          fileSystem: { capacityBytes: 9, availableBytes: 5, inodes: 8, inodesFree: 6 },
          used: { bytes: 3, inodes: 1 },
        },
      ],
      rootfs: new Map([['c', { bytes: 30, inodes: 3 }]]),
      logs: new Map([['c', { bytes: 40, inodes: 4 }]]),
    },
  ],
  cpuRate: (_name, used, sinceMs) => used / ((20_000 - sinceMs) / 1000),
};

/** The paths of all values, lists by their first item. */
function pathsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return value.length === 0 ? [`${path}[]`] : pathsOf(value[0], `${path}[]`);
  if (typeof value !== 'object' || value === null) return value === undefined ? [] : [path];
  return Object.entries(value).flatMap(([key, one]) => pathsOf(one, path === '' ? key : `${path}.${key}`));
}

const cpu = ['cpu.time', 'cpu.usageNanoCores', 'cpu.usageCoreNanoSeconds'];
const memory = ['time', 'usageBytes', 'workingSetBytes', 'rssBytes', 'pageFaults', 'majorPageFaults'].map(
  (field) => `memory.${field}`,
);
const counters = ['name', 'rxBytes', 'rxErrors', 'txBytes', 'txErrors'];
const network = ['time', ...counters, ...counters.map((field) => `interfaces[].${field}`)].map(
  (field) => `network.${field}`,
);
const files = (path: string): readonly string[] =>
  ['time', 'availableBytes', 'capacityBytes', 'usedBytes', 'inodesFree', 'inodes', 'inodesUsed'].map(
    (field) => `${path}.${field}`,
  );

describe('cpuAndMemoryOf()', () => {
  it('leaves out what is neither, but whose it is', () => {
    const paths = [...pathsOf(cpuAndMemoryOf(renderSummary(input)))];
    const others = paths.filter(
      (path) => !/(^|\.)(cpu|memory|startTime|name|nodeName|podRef)(\.|$)/.test(path),
    );
    expect(others).toEqual([]);
    for (const path of ['node.cpu.usageNanoCores', 'node.memory.workingSetBytes'])
      expect(paths).toContain(path);
    expect(paths.some((path) => /containers.*cpu\.usageNanoCores$/.test(path))).toBe(true);
  });
});

describe('renderSummary()', () => {
  it('has all that clients look for', () => {
    const below = (prefix: string, paths: readonly string[]): readonly string[] =>
      paths.map((path) => `${prefix}.${path}`);
    expect([...pathsOf(renderSummary(input))].toSorted()).toEqual(
      [
        ...below('node', ['nodeName', 'startTime', ...cpu, ...memory, 'memory.availableBytes', ...network]),
        ...below('node', [...files('fs'), ...files('runtime.containerFs')]),
        ...below(
          'node',
          files('runtime.imageFs').filter((path) => !path.endsWith('inodesUsed')),
        ),
        ...below('node', ['swap.time', 'swap.swapAvailableBytes', 'swap.swapUsageBytes']),
        ...below('node', ['rlimit.time', 'rlimit.maxpid', 'rlimit.curproc']),
        ...below('node.systemContainers[]', ['name', 'startTime', ...cpu, ...memory]),
        ...below('pods[]', ['podRef.name', 'podRef.namespace', 'podRef.uid', 'startTime', ...cpu, ...memory]),
        ...below('pods[]', [...network, ...files('ephemeral-storage'), 'process_stats.process_count']),
        ...below('pods[]', [...files('volume[]'), 'volume[].name']),
        ...below('pods[].containers[]', ['name', 'startTime', ...cpu, ...memory]),
        ...below('pods[].containers[]', [...files('rootfs'), ...files('logs')]),
        ...below('pods[].containers[].swap', ['time', 'swapUsageBytes']),
        ...below('pods[].containers[]', pressurePaths),
      ].toSorted(),
    );
  });

  it('says what is used, of what, and how fast', () => {
    expect(renderSummary(input)).toMatchObject({
      node: {
        cpu: { usageNanoCores: 400_000_000 }, // Since the machine began.
        network: { name: 'ens1', rxBytes: 10 },
        systemContainers: [
          { name: 'kubelet', memory: { rssBytes: 80 }, cpu: { usageNanoCores: 100_000_000 } },
          { name: 'pods', memory: { usageBytes: 400, rssBytes: 200 } },
        ],
        fs: { usedBytes: 400, inodesUsed: 40 },
        swap: { swapUsageBytes: 10 },
      },
      pods: [
        {
          network: eth0,
          'ephemeral-storage': { usedBytes: 76, inodesUsed: 10 },
          volume: [
            { name: 'scratch', usedBytes: 2 },
            { name: 'memory', usedBytes: 1 },
            { name: 'data', usedBytes: 3, pvcRef: { namespace: 'b', name: 'c' } },
          ],
          containers: [
            { cpu: { usageNanoCores: 1_000_000_000 }, rootfs: { usedBytes: 30 }, logs: { usedBytes: 40 } },
          ],
        },
      ],
    });
  });
});

describe('CpuRates', () => {
  it('is since the last sample, which stays for a while; since the beginning at first and after a reset', () => {
    const rates = new CpuRates();
    const ask = (nowMs: number, usageNanoseconds: number): number => {
      rates.forgetOthers();
      return rates.rate('x', { usageNanoseconds, sinceMs: 0, nowMs });
    };
    expect(ask(10_000, 5e9)).toBe(5e8);
    expect(ask(11_000, 9e9)).toBe(5e8);
    expect(ask(20_000, 25e9)).toBe(2e9);
    rates.forgetOthers();
    rates.forgetOthers();
    expect(ask(40_000, 2e9)).toBe(5e7);
  });
});

describe('parseInterfaceCounters()', () => {
  it('reads what went in and out, but of the loopback', () => {
    const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    5      1    0    0    0     0          0         0     5       1    0    0    0     0       0          0
  eth0:   10      2    1    4    0     0          0         0    20       3    2    5    0     0       0          0
`;
    expect(parseInterfaceCounters(text)).toEqual([counted]);
    expect(parseInterfaceCounters('')).toEqual([]);
  });
});

it('renderResourceMetrics() has a sample of each container', () => {
  const text = renderResourceMetrics(input);
  expect(text).toContain('container_cpu_usage_seconds_total{container="c",namespace="d",pod="p"} 5 20000');
  expect(text).toContain('pod_memory_working_set_bytes{namespace="d",pod="p"} 300 20000');
});

it('renderCadvisorMetrics() has a sample of each container, and of the pod as a whole', () => {
  const text = renderCadvisorMetrics(input);
  for (const line of [
    'container_cpu_usage_seconds_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p",cpu="total"} 5 20000',
    'container_memory_rss{container="",id="/podu",image="",name="",namespace="d",pod="p"} 200 20000',
    'container_memory_failures_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p",failure_type="pgfault",scope="container"} 7 20000',
    'container_network_receive_bytes_total{container="",id="/podu",image="",name="",namespace="d",pod="p",interface="eth0"} 10 20000',
    'container_fs_usage_bytes{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p",device=""} 30 20000',
    'container_cpu_cfs_throttled_periods_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 4 20000',
    'container_cpu_user_seconds_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 3 20000',
    'container_memory_cache{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 150 20000',
    'container_memory_swap{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 8 20000',
    'container_pressure_cpu_stalled_seconds_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 1 20000',
    'container_pressure_cpu_waiting_seconds_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 3 20000',
    'container_spec_cpu_quota{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 50000 20000',
    'container_spec_memory_limit_bytes{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p"} 1024 20000',
    'container_fs_writes_bytes_total{container="c",id="/podu/c1",image="",name="c1",namespace="d",pod="p",device="/dev/vda"} 2 20000',
    'container_network_transmit_packets_dropped_total{container="",id="/podu",image="",name="",namespace="d",pod="p",interface="eth0"} 5 20000',
    'container_cpu_usage_seconds_total{container="",id="/",image="",name="",namespace="",pod="",cpu="total"} 8 20000',
    'container_network_receive_packets_total{container="",id="/",image="",name="",namespace="",pod="",interface="ens1"} 2 20000',
    'machine_cpu_cores{boot_id="",machine_id="",system_uuid=""} 2',
  ])
    expect(text.split('\n')).toContain(line);
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(new Set(names).size).toBe(names.length);
});

it('ProbeCounts counts results of a run until its probes end', () => {
  const counts = new ProbeCounts();
  const pod = { metadata: { name: 'p', namespace: 'd', uid: 'u' } };
  const target = { pod, container: { name: 'c' }, containerId: 'c1', podIp: '' };
  counts.count(target, 'readiness', true);
  counts.count(target, 'readiness', true);
  counts.count(target, 'liveness', false);
  const labels = 'container="c",namespace="d",pod="p",pod_uid="u"';
  expect(counts.render().split('\n').slice(2)).toEqual([
    `prober_probe_total{${labels},probe_type="Readiness",result="successful"} 2`,
    `prober_probe_total{${labels},probe_type="Liveness",result="failed"} 1`,
    '',
  ]);
  counts.forget('c1');
  expect(counts.render()).not.toContain('{');
});
