import type { Pod } from '#api/generated/objects.ts';
import type { MachineFacts } from '#agent/node/machine.ts';
import type { CgroupStats } from '#native/cgroup/cgroup.ts';
import type { PodStats } from '#agent/runtime/runtime.ts';
import type { DiskUse } from '#agent/kubelet/evict/used-below.ts';
import type { InterfaceCounters } from './interface-counters.ts';

/** A file system, and how much of it is taken. */
export interface FileSystemFacts {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly inodes: number;
  readonly inodesFree: number;
}

/** A pod's volume that has files on the node. */
export interface VolumeFacts {
  readonly name: string;
  /** The one that its files are on, perhaps with others'. */
  readonly fileSystem: FileSystemFacts;
  readonly used: DiskUse;
}

/** One that a claim is of. */
export interface ClaimVolumeFacts extends VolumeFacts {
  readonly claim: { readonly namespace: string; readonly name: string };
}

/** One that is made for the pod, and goes with it. */
export interface OwnVolumeFacts extends VolumeFacts {
  /** Whether its files are of the pod's ephemeral storage: not those in memory. */
  readonly isOnDisk: boolean;
}

/** What a pod has on the node, beside what its cgroups say. */
export interface PodFacts {
  readonly pod: Pod;
  readonly stats: PodStats;
  readonly interfaces: readonly InterfaceCounters[];
  /** By the container's name: what its runs wrote to their own file systems, and to their logs. */
  readonly rootfs: ReadonlyMap<string, DiskUse>;
  readonly logs: ReadonlyMap<string, DiskUse>;
  readonly ownVolumes: readonly OwnVolumeFacts[];
  /** Those of claims. */
  readonly volumes: readonly ClaimVolumeFacts[];
  /** What the pod's /etc/hosts takes. */
  readonly hosts: DiskUse;
}

/** A process of the node that is no pod's. */
export interface SystemProcess {
  readonly cpuUsageNanoseconds: number;
  readonly rssBytes: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
}

/** What stats and metrics are made of. */
export interface StatsInput {
  readonly nodeName: string;
  readonly nowMs: number;
  /** When the agent began. */
  readonly startedAtMs: number;
  /** When the machine did: since then its CPU time is counted. */
  readonly bootedAtMs: number;
  readonly machine: MachineFacts;
  /** All CPU time that the machine has spent working. */
  readonly nodeCpuNanoseconds: number;
  readonly nodeMemory: {
    readonly rssBytes: number;
    readonly pageFaults: number;
    readonly majorPageFaults: number;
    readonly swapBytes: number;
    readonly swapFreeBytes: number;
  };
  /** /proc/pressure; undefined: the kernel does not tell. */
  readonly nodePressure?: CgroupStats['pressure'];
  readonly nodeInterfaces: readonly InterfaceCounters[];
  readonly disk: FileSystemFacts;
  /** Of the agent, which is kubelet and runtime in one. */
  readonly agent: SystemProcess;
  readonly imageBytes: number;
  /** Names of block devices (`/dev/vda`), by `major:minor`. */
  readonly devices: ReadonlyMap<string, string>;
  readonly pods: readonly PodFacts[];
  /** Nanoseconds of CPU a second, of what is called so (`node`, `agent`, `pods`, `UID`, `UID/NAME`). */
  readonly cpuRate: (name: string, usageNanoseconds: number, sinceMs: number) => number;
}
