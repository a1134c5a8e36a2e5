import type { Pod } from './pod.ts';
import type { ContainerStats, PodStats } from './runtime.ts';
import type { RuntimeSystem } from './system.ts';
import type { CgroupUsage } from './runtime.ts';

/** What a pod's running containers use, from their cgroups. */
export async function statsOf(pod: Pod, system: RuntimeSystem): Promise<PodStats> {
  const containers: ContainerStats[] = [];
  for (const { id, name, cgroup, state } of pod.containers) {
    if (state.state !== 'running') continue;
    const usage = await system.cgroupUsage(cgroup);
    const { startedAtMs, pid } = state;
    if (usage !== undefined) containers.push({ id, name, ...usage, startedAtMs, pid });
  }
  const own = await system.cgroupUsage(pod.sandbox.config.cgroupParent);
  // The pod's own cgroup also counts containers that are gone. Without controllers it counts nothing.
  const most = (field: keyof CgroupUsage): number =>
    Math.max(own?.[field] ?? 0, sum(containers.map((each) => each[field])));
  return {
    containers,
    cpuUsageNanoseconds: most('cpuUsageNanoseconds'),
    memoryBytes: most('memoryBytes'),
    workingSetBytes: most('workingSetBytes'),
    rssBytes: most('rssBytes'),
    pageFaults: most('pageFaults'),
    majorPageFaults: most('majorPageFaults'),
    processes: most('processes'),
    ...(own?.stats === undefined ? {} : { stats: own.stats }),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
