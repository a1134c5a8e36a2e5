import type { DiskUse } from '#agent/kubelet/evict/used-below.ts';
import type { CgroupUsage, MeasuredUsage } from '#agent/runtime/runtime.ts';
import type { CgroupStats, Pressure, StallTimes } from '#native/cgroup/cgroup.ts';
import type { InterfaceCounters } from './interface-counters.ts';
import type { ClaimVolumeFacts, PodFacts, StatsInput, VolumeFacts } from './stats-input.ts';

type Told = Readonly<Record<string, unknown>>;

export interface Summary {
  readonly node: Told;
  readonly pods: readonly (Told & { readonly containers: readonly Told[] })[];
}

/** `only_cpu_and_memory=true`: what those are of node, pods and containers, and who they are (GetCPUAndMemoryStats of pkg/kubelet/server/stats). */
export function cpuAndMemoryOf({ node, pods }: Summary): unknown {
  const pick = (of: Told, ...names: readonly string[]): Told =>
    Object.fromEntries(
      [...names, 'startTime', 'cpu', 'memory'].flatMap((name) =>
        of[name] === undefined ? [] : [[name, of[name]]],
      ),
    );
  return {
    node: pick(node, 'nodeName', 'systemContainers'),
    pods: pods.map((pod) => ({
      ...pick(pod, 'podRef'),
      containers: pod.containers.map((container) => pick(container, 'name')),
    })),
  };
}

/**
 * /stats/summary (kubelet/pkg/apis/stats/v1alpha1 Summary). Clients take most of its fields for granted, and fail without one: what is
 * not known of a container is left out, what is counted nowhere is 0. Pure.
 */
export function renderSummary(input: StatsInput): Summary {
  const { machine, nodeMemory, disk, startedAtMs, bootedAtMs } = input;
  const time = timeOf(input.nowMs);
  const used = machine.memoryBytes - machine.memoryAvailableBytes;
  const fs = fileSystem(input, undefined);
  return {
    node: {
      nodeName: input.nodeName,
      systemContainers: systemContainers(input),
      startTime: timeOf(startedAtMs),
      cpu: {
        ...cpu(input, { name: 'node', usageNanoseconds: input.nodeCpuNanoseconds, sinceMs: bootedAtMs }),
        ...psi(input.nodePressure?.cpu),
      },
      ...io(time, input.nodePressure),
      memory: {
        time,
        availableBytes: machine.memoryAvailableBytes,
        usageBytes: used,
        workingSetBytes: used,
        rssBytes: nodeMemory.rssBytes,
        pageFaults: nodeMemory.pageFaults,
        majorPageFaults: nodeMemory.majorPageFaults,
        ...psi(input.nodePressure?.memory),
      },
      swap: {
        time,
        swapAvailableBytes: nodeMemory.swapFreeBytes,
        swapUsageBytes: nodeMemory.swapBytes - nodeMemory.swapFreeBytes,
      },
      network: network(time, input.nodeInterfaces),
      fs: {
        ...fs,
        usedBytes: disk.capacityBytes - disk.availableBytes,
        inodesUsed: disk.inodes - disk.inodesFree,
      },
      runtime: {
        imageFs: { ...fs, usedBytes: input.imageBytes },
        containerFs: fileSystem(input, sumOf(input.pods.flatMap(({ rootfs }) => [...rootfs.values()]))),
      },
      rlimit: { time, maxpid: machine.pidsMax, curproc: machine.pidsUsed },
    },
    pods: input.pods.map((facts) => podSummary(input, facts)),
  };
}

function systemContainers(input: StatsInput): readonly unknown[] {
  const { agent, pods, startedAtMs } = input;
  const startTime = timeOf(startedAtMs);
  const total = (field: keyof CgroupUsage): number => pods.reduce((sum, { stats }) => sum + stats[field], 0);
  const all = {
    ...{ cpuUsageNanoseconds: total('cpuUsageNanoseconds'), memoryBytes: total('memoryBytes') },
    ...{ workingSetBytes: total('workingSetBytes'), rssBytes: total('rssBytes') },
    ...{ pageFaults: total('pageFaults'), majorPageFaults: total('majorPageFaults') },
  };
  const own = { ...agent, memoryBytes: agent.rssBytes, workingSetBytes: agent.rssBytes };
  return [
    { name: 'kubelet', startTime, ...usage(input, { name: 'agent', used: own, sinceMs: startedAtMs }) },
    { name: 'pods', startTime, ...usage(input, { name: 'pods', used: all, sinceMs: startedAtMs }) },
  ];
}

function podSummary(
  input: StatsInput,
  { pod, stats, interfaces, rootfs, logs, ownVolumes, volumes, hosts }: PodFacts,
): Summary['pods'][number] {
  const { name, namespace, uid = '' } = pod.metadata ?? {};
  const { startTime } = pod.status ?? {};
  const time = timeOf(input.nowMs);
  const ownUse = ownVolumes.filter(({ isOnDisk }) => isOnDisk).map(({ used }) => used);
  const written = [...rootfs.values(), ...logs.values(), ...ownUse, hosts];
  const all = [...ownVolumes, ...volumes];
  const begunMs = startTime === undefined ? input.startedAtMs : Date.parse(startTime);
  return {
    podRef: { name, namespace, uid },
    startTime,
    containers: stats.containers.map((container) => ({
      name: container.name,
      startTime: timeOf(container.startedAtMs),
      ...usage(input, { name: `${uid}/${container.id}`, used: container, sinceMs: container.startedAtMs }),
      rootfs: fileSystem(input, rootfs.get(container.name) ?? nothing),
      logs: fileSystem(input, logs.get(container.name) ?? nothing),
    })),
    ...usage(input, { name: uid, used: stats, sinceMs: begunMs }),
    network: network(time, interfaces),
    ...(all.length === 0 ? {} : { volume: all.map((volume) => volumeSummary(time, volume)) }),
    'ephemeral-storage': fileSystem(input, sumOf(written)),
    process_stats: { process_count: stats.processes },
  };
}

/** VolumeStats of kubelet/pkg/apis/stats/v1alpha1. */
function volumeSummary(
  time: string,
  { name, claim, fileSystem, used }: VolumeFacts & Partial<ClaimVolumeFacts>,
): unknown {
  return {
    time,
    ...fileSystem,
    ...{ usedBytes: used.bytes, inodesUsed: used.inodes },
    name,
    ...(claim === undefined ? {} : { pvcRef: claim }),
  };
}

type Used = Omit<MeasuredUsage, 'processes'>;

function usage(
  input: StatsInput,
  { name, used, sinceMs }: { readonly name: string; readonly used: Used; readonly sinceMs: number },
): object {
  const { memoryBytes, workingSetBytes, rssBytes, pageFaults, majorPageFaults, stats } = used;
  const time = timeOf(input.nowMs);
  const swapBytes = stats?.memory?.swapBytes;
  return {
    cpu: {
      ...cpu(input, { name, usageNanoseconds: used.cpuUsageNanoseconds, sinceMs }),
      ...psi(stats?.pressure.cpu),
    },
    memory: {
      time,
      usageBytes: memoryBytes,
      ...{ workingSetBytes, rssBytes, pageFaults, majorPageFaults },
      ...psi(stats?.pressure.memory),
    },
    ...(swapBytes === undefined ? {} : { swap: { time, swapUsageBytes: swapBytes } }),
    ...io(time, stats?.pressure),
  };
}

/** PSIStats: how long tasks waited, as the kernel counts it. */
function psi(pressure: Pressure | undefined): object {
  if (pressure === undefined) return {};
  const show = ({ totalUs, avg10, avg60, avg300 }: StallTimes): object => ({
    total: totalUs,
    avg10,
    avg60,
    avg300,
  });
  return { psi: { full: show(pressure.full ?? noStall), some: show(pressure.some) } };
}

const noStall: StallTimes = { totalUs: 0, avg10: 0, avg60: 0, avg300: 0 };

function io(time: string, pressure: CgroupStats['pressure'] | undefined): object {
  return pressure?.io === undefined ? {} : { io: { time, ...psi(pressure.io) } };
}

function cpu(
  { nowMs, cpuRate }: StatsInput,
  of: { readonly name: string; readonly usageNanoseconds: number; readonly sinceMs: number },
): object {
  const { name, usageNanoseconds, sinceMs } = of;
  return {
    time: timeOf(nowMs),
    usageNanoCores: cpuRate(name, usageNanoseconds, sinceMs),
    usageCoreNanoSeconds: usageNanoseconds,
  };
}

/** The numbers of one interface stand for all where clients look at one: eth0, else the first. */
function network(time: string, interfaces: readonly InterfaceCounters[]): unknown {
  const told = interfaces.map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => ({
    ...{ name, rxBytes, rxErrors, txBytes, txErrors },
  }));
  const main = told.find(({ name }) => name === 'eth0') ?? told[0];
  return { time, ...main, interfaces: told };
}

function fileSystem({ nowMs, disk }: StatsInput, used: DiskUse | undefined): object {
  const { availableBytes, capacityBytes, inodesFree, inodes } = disk;
  return {
    time: timeOf(nowMs),
    ...{ availableBytes, capacityBytes, inodesFree, inodes },
    ...(used === undefined ? {} : { usedBytes: used.bytes, inodesUsed: used.inodes }),
  };
}

const nothing: DiskUse = { bytes: 0, inodes: 0 };

function sumOf(uses: readonly DiskUse[]): DiskUse {
  return uses.reduce(
    (sum, { bytes, inodes }) => ({ bytes: sum.bytes + bytes, inodes: sum.inodes + inodes }),
    nothing,
  );
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
