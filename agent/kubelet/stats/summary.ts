import type { DiskUse } from '#agent/kubelet/evict/used-below.ts';
import type { CgroupUsage } from '#agent/runtime/runtime.ts';
import type { InterfaceCounters } from './interface-counters.ts';
import type { PodFacts, StatsInput, VolumeFacts } from './stats-input.ts';

/**
 * /stats/summary (kubelet/pkg/apis/stats/v1alpha1 Summary). Clients take most of its fields for granted, and fail without one: what is
 * not known of a container is left out, what is counted nowhere is 0. Pure.
 */
export function renderSummary(input: StatsInput): unknown {
  const { machine, nodeMemory, disk, startedAtMs, bootedAtMs } = input;
  const time = timeOf(input.nowMs);
  const used = machine.memoryBytes - machine.memoryAvailableBytes;
  const fs = fileSystem(input, undefined);
  return {
    node: {
      nodeName: input.nodeName,
      systemContainers: systemContainers(input),
      startTime: timeOf(startedAtMs),
      cpu: cpu(input, { name: 'node', usageNanoseconds: input.nodeCpuNanoseconds, sinceMs: bootedAtMs }),
      memory: {
        time,
        availableBytes: machine.memoryAvailableBytes,
        usageBytes: used,
        workingSetBytes: used,
        rssBytes: nodeMemory.rssBytes,
        pageFaults: nodeMemory.pageFaults,
        majorPageFaults: nodeMemory.majorPageFaults,
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

function podSummary(input: StatsInput, { pod, stats, interfaces, rootfs, logs, volumes }: PodFacts): unknown {
  const { name, namespace, uid = '' } = pod.metadata ?? {};
  const { startTime } = pod.status ?? {};
  const time = timeOf(input.nowMs);
  const written = [...rootfs.values(), ...logs.values()];
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
    ...(volumes.length === 0 ? {} : { volume: volumes.map((volume) => volumeSummary(time, volume)) }),
    'ephemeral-storage': fileSystem(input, sumOf(written)),
    process_stats: { process_count: stats.processes },
  };
}

/** VolumeStats of kubelet/pkg/apis/stats/v1alpha1. */
function volumeSummary(time: string, { name, claim, fileSystem, used }: VolumeFacts): unknown {
  return {
    time,
    ...fileSystem,
    ...{ usedBytes: used.bytes, inodesUsed: used.inodes },
    name,
    pvcRef: claim,
  };
}

type Used = Omit<CgroupUsage, 'processes'>;

function usage(
  input: StatsInput,
  { name, used, sinceMs }: { readonly name: string; readonly used: Used; readonly sinceMs: number },
): { readonly cpu: unknown; readonly memory: unknown } {
  const { memoryBytes, workingSetBytes, rssBytes, pageFaults, majorPageFaults } = used;
  return {
    cpu: cpu(input, { name, usageNanoseconds: used.cpuUsageNanoseconds, sinceMs }),
    memory: {
      time: timeOf(input.nowMs),
      usageBytes: memoryBytes,
      ...{ workingSetBytes, rssBytes, pageFaults, majorPageFaults },
    },
  };
}

function cpu(
  { nowMs, cpuRate }: StatsInput,
  of: { readonly name: string; readonly usageNanoseconds: number; readonly sinceMs: number },
): unknown {
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
