/**
 * The cgroup v2 port (Documentation/admin-guide/cgroup-v2.rst). Paths are relative to the tree that the agent was given
 * (`kubepods/burstable/pod<uid>/<id>`; '' is that tree's root). A controller that the host lacks is data, not an error:
 * what it would have limited is reported as missing.
 */

/** Controllers that resources are written for. */
export type CgroupController = 'cpu' | 'cpuset' | 'hugetlb' | 'io' | 'memory' | 'pids';

/** Limits and shares of one cgroup; absent means: leave as it is. */
export interface CgroupResources {
  /** cgroup v1 shares, 2..262144, as the kubelet computes them from requests (milliCpuToShares). */
  readonly cpuShares?: number;
  /** CPU time per period; -1 for no limit. */
  readonly cpuQuotaUs?: number;
  /** 1,000..1,000,000; default 100,000. */
  readonly cpuPeriodUs?: number;
  /** -1 for no limit. */
  readonly memoryLimitBytes?: number;
  /** memory.min: never reclaimed (KEP-2570). */
  readonly memoryMinBytes?: number;
  /** memory.low: reclaimed only where nothing else can be. */
  readonly memoryLowBytes?: number;
  /** memory.high: reclaimed hard above it (KEP-2570). */
  readonly memoryHighBytes?: number;
  /** memory.swap.max. */
  readonly swapLimitBytes?: number;
  /** memory.oom.group: the OOM killer takes the whole cgroup, as the kubelet asks for containers since 1.28. */
  readonly oomGroup?: boolean;
  /** -1 for no limit. */
  readonly pidsMax?: number;
  /** Files by name (`cpuset.cpus`), last, as they are. */
  readonly unified?: Readonly<Record<string, string>>;
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limitBytes: number }[]; // pageSize: 2MB
}

/** One write; `controller` is what must be enabled for the file to exist. */
export interface CgroupWrite {
  readonly file: string;
  readonly value: string;
  readonly controller: CgroupController;
  /** A kernel may have the controller without the file (swap accounting, CONFIG_SWAP): then it is passed over. */
  readonly isOptional?: true;
}

/** What was asked for and cannot be had here. */
export interface CgroupReport {
  readonly missing: readonly CgroupController[];
}

/** undefined: the controller is not there. Times in microseconds since the cgroup was made, sizes in bytes. */
export interface CgroupStats {
  readonly cpu:
    | {
        readonly usageUs: number;
        readonly userUs: number;
        readonly systemUs: number;
        readonly throttledUs: number | undefined;
        readonly throttledCount: number | undefined;
        /** Periods of the bandwidth limit in which something ran. */
        readonly periodCount: number | undefined;
      }
    | undefined;
  readonly memory:
    | {
        readonly currentBytes: number;
        /** current minus inactive_file: what the kubelet calls the working set. */
        readonly workingSetBytes: number;
        readonly anonBytes: number;
        readonly fileBytes: number;
        readonly mappedBytes: number;
        /** 0 where the kernel counts none. */
        readonly swapBytes: number;
        readonly pageFaults: number;
        readonly majorPageFaults: number;
      }
    | undefined;
  readonly memoryEvents: MemoryEvents | undefined;
  readonly pidsCurrent: number | undefined;
  /** io.stat, by device; [] without the controller, or before anything was read or written. */
  readonly io: readonly CgroupIo[];
  /** Pressure stall information by resource (`cpu`, `memory`, `io`); without those that the kernel does not tell. */
  readonly pressure: Readonly<Partial<Record<PressureResource, Pressure>>>;
  readonly isPopulated: boolean;
}

export type PressureResource = 'cpu' | 'memory' | 'io';

/** cpu.pressure and its like: some of the tasks waited, or all of them (Documentation/accounting/psi.rst). */
export interface Pressure {
  readonly some: StallTimes;
  /** Undefined where the kernel has no such line. */
  readonly full: StallTimes | undefined;
}

export interface StallTimes {
  readonly totalUs: number;
  /** Per cent of the last so many seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

/** What a device did for a cgroup. */
export interface CgroupIo {
  /** `major:minor` */
  readonly device: string;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** Counters of memory.events. */
export interface MemoryEvents {
  readonly oom: number;
  readonly oomKill: number;
  readonly max: number;
  readonly high: number;
}

export type CgroupEvent =
  | { readonly kind: 'populated'; readonly isPopulated: boolean }
  | { readonly kind: 'memory'; readonly events: MemoryEvents };

export interface Cgroups {
  /** Where a cgroup is in the file system, for a launch (CLONE_INTO_CGROUP). */
  directory(path: string): string;
  /** The controllers that a cgroup could have: those of the tree's root. */
  available(): Promise<readonly string[]>;
  /**
   * Makes the cgroup and its ancestors, with every wanted controller that exists enabled on the way down. Safe to repeat.
   * @throws E_BUSY when processes in an ancestor keep controllers from being enabled (the "no internal processes" rule)
   */
  ensure(path: string, controllers: readonly CgroupController[]): Promise<CgroupReport>;
  /** Writes limits; those of missing controllers are left out and reported. @throws E_NOT_FOUND, E_INVALID */
  apply(path: string, resources: CgroupResources): Promise<CgroupReport>;
  /** Kills everything in it and below, at once (cgroup.kill). Succeeds if gone. */
  kill(path: string): Promise<void>;
  /**
   * Kills, waits until the processes are gone, removes it and all below. Succeeds if gone.
   * @throws E_TIMEOUT when processes outlive the deadline (uninterruptible in the kernel)
   */
  remove(path: string, timeoutMs: number): Promise<void>;
  /** Moves a process in. @throws E_NOT_FOUND */
  addProcess(path: string, pid: number): Promise<void>;
  /** The pids in it, not below. @throws E_NOT_FOUND */
  processes(path: string): Promise<readonly number[]>;
  /** The names of the cgroups in it; [] when it is gone. */
  children(path: string): Promise<readonly string[]>;
  /** undefined when it is gone. */
  stats(path: string): Promise<CgroupStats | undefined>;
  /** Tells of the present state, then of each change, until disposed. @throws E_NOT_FOUND */
  watch(path: string, onEvent: (event: CgroupEvent) => void): Promise<AsyncDisposable>;
}
