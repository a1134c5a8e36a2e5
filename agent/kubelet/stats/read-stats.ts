import { uptime } from 'node:os';
import { readFile } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { parsePressure } from '#native/cgroup/parse.ts';
import { errnoOf } from '#base/errors.ts';
import type { Pod } from '#api/generated/objects.ts';
import { usedBelow, type DiskUse } from '#agent/kubelet/evict/used-below.ts';
import { podPaths, type KubeletDirectories } from '#agent/kubelet/pod-paths.ts';
import { readMachine } from '#agent/node/machine.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import type { Proc } from '#native/proc/proc.ts';
import { CpuRates } from './cpu-rates.ts';
import { parseInterfaceCounters, type InterfaceCounters } from './interface-counters.ts';
import type { PodFacts, StatsInput, SystemProcess } from './stats-input.ts';
import { readFileSystem, readOwnVolumes, readVolumeStats, type Measure } from './volume-stats.ts';

export interface StatsSources {
  readonly nodeName: string;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly proc: Pick<Proc, 'memory' | 'cpuCount' | 'bootId' | 'kernelRelease'>;
  readonly directories: KubeletDirectories;
  readonly pods: () => readonly Pod[];
  /** Told how long looks at volumes take. */
  readonly volumeCounts?: Measure['counts'];
}

/** What a container wrote, or is in a volume, is counted file by file: no more often than this. */
const diskUseMs = 60_000;

/** Reads what a node and its pods use; made once, as it remembers what was before. */
export function createStatsReader(sources: StatsSources): () => Promise<StatsInput> {
  const { nodeName, runtime, clock, proc, directories } = sources;
  const startedAtMs = clock.now();
  const rates = new CpuRates();
  const disks = new DiskUses(clock);
  const measure = disks.measuring(sources.volumeCounts);
  return async () => {
    const found = await Promise.all(
      sources.pods().map(async (pod) => ({ pod, stats: await runtime.stats(pod.metadata?.uid ?? '') })),
    );
    const volumes = await readVolumeStats(directories.pods, measure);
    const pods: PodFacts[] = [];
    for (const { pod, stats } of found) {
      if (stats === undefined) continue;
      const [rootfs, logs] = [new Map<string, DiskUse>(), new Map<string, DiskUse>()];
      for (const { id, name } of stats.containers) {
        rootfs.set(name, await disks.of(runtime.writableLayer(id)));
        logs.set(name, await disks.of(`${podPaths(pod, directories).logs}/${name}`));
      }
      const interfaces = await interfacesOf(stats.containers[0]?.pid);
      const ownVolumes = await readOwnVolumes(pod, directories, measure);
      const ofClaims = volumes.get(pod.metadata?.uid ?? '') ?? [];
      const hosts = await disks.of(podPaths(pod, directories).hosts);
      pods.push({ pod, stats, interfaces, rootfs, logs, ownVolumes, volumes: ofClaims, hosts });
    }
    disks.forgetOthers();
    rates.forgetOthers();
    const nowMs = clock.now();
    return {
      ...{ nodeName, startedAtMs, nowMs, pods, bootedAtMs: nowMs - uptime() * 1000 },
      machine: await readMachine(proc, directories.pods),
      nodeCpuNanoseconds: await readNodeCpu(),
      nodeMemory: await readNodeMemory(),
      nodeInterfaces: await interfacesOf('self'),
      nodePressure: await readNodePressure(),
      disk: await readFileSystem(directories.pods),
      agent: readAgent(),
      devices: await readDevices(),
      imageBytes: runtime.images.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      cpuRate: (name, usageNanoseconds, sinceMs) => rates.rate(name, { usageNanoseconds, sinceMs, nowMs }),
    };
  };
}

interface CountedUse {
  readonly atMs: number;
  readonly use: Promise<DiskUse>;
}

/** Counts kept for a while, by directory. `forgetOthers` drops those that were not asked for since it was called last. */
export class DiskUses {
  readonly #clock: Clock;
  #known = new Map<string, CountedUse>();
  #kept = new Map<string, CountedUse>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** For volumes; `counts` hears how long it took. */
  measuring(counts: Measure['counts']): Measure {
    return { usedBelow: (directory, tell) => this.of(directory, tell), clock: this.#clock, counts };
  }

  of(directory: string, tell?: (seconds: number) => void): Promise<DiskUse> {
    const nowMs = this.#clock.monotonic();
    const known = this.#known.get(directory);
    const counted =
      known !== undefined && nowMs - known.atMs < diskUseMs
        ? known
        : { atMs: nowMs, use: this.#count(directory, tell) };
    this.#kept.set(directory, counted);
    return counted.use;
  }

  async #count(directory: string, tell: (seconds: number) => void = () => undefined): Promise<DiskUse> {
    const startMs = this.#clock.monotonic();
    const use = await usedBelow(directory, Infinity);
    tell((this.#clock.monotonic() - startMs) / 1000);
    return use;
  }

  forgetOthers(): void {
    this.#known = this.#kept;
    this.#kept = new Map();
  }
}

/** Those of a process's network namespace; none when it has ended. */
export async function interfacesOf(pid: number | 'self' | undefined): Promise<readonly InterfaceCounters[]> {
  if (pid === undefined) return [];
  try {
    return parseInterfaceCounters(await readFile(`/proc/${pid}/net/dev`, 'utf8'));
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}

/** All CPU time but idle and I/O wait, from the first line of /proc/stat, in ticks of 10 ms (proc_stat(5)). */
async function readNodeCpu(): Promise<number> {
  const [first = ''] = (await readFile('/proc/stat', 'utf8')).split('\n');
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = first
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * 10_000_000;
}

/** From proc_meminfo(5) and proc_vmstat(5). */
async function readNodeMemory(): Promise<StatsInput['nodeMemory']> {
  const [memory, events] = await Promise.all([
    readFile('/proc/meminfo', 'utf8'),
    readFile('/proc/vmstat', 'utf8'),
  ]);
  const numberOf = (text: string, name: string): number =>
    Number(new RegExp(`^${name}:?\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    rssBytes: numberOf(memory, 'AnonPages') * 1024,
    pageFaults: numberOf(events, 'pgfault'),
    majorPageFaults: numberOf(events, 'pgmajfault'),
    swapBytes: numberOf(memory, 'SwapTotal') * 1024,
    swapFreeBytes: numberOf(memory, 'SwapFree') * 1024,
  };
}

/** /proc/pressure (Documentation/accounting/psi.rst); of a kernel without it, nothing. */
async function readNodePressure(): Promise<NonNullable<StatsInput['nodePressure']>> {
  const names = ['cpu', 'memory', 'io'] as const;
  const found = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(`/proc/pressure/${name}`, 'utf8').catch(() => '');
      const pressure = parsePressure(text);
      return pressure === undefined ? [] : [[name, pressure] as const];
    }),
  );
  return Object.fromEntries(found.flat());
}

/** Block devices: the lines `major minor #blocks name` of proc_partitions(5), after a head. */
export async function readDevices(): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile('/proc/partitions', 'utf8')).split('\n');
  return new Map(
    lines.flatMap((line) => {
      const match = /^\s*(\d+)\s+(\d+)\s+\d+\s+(\S+)$/.exec(line);
      return match === null ? [] : [[`${match[1]}:${match[2]}`, `/dev/${match[3]}`] as const];
    }),
  );
}

function readAgent(): SystemProcess {
  const { userCPUTime, systemCPUTime, minorPageFault, majorPageFault } = process.resourceUsage();
  return {
    cpuUsageNanoseconds: (userCPUTime + systemCPUTime) * 1000,
    rssBytes: process.memoryUsage.rss(),
    pageFaults: minorPageFault,
    majorPageFaults: majorPageFault,
  };
}
