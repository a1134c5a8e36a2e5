import type { Pod } from './pod.ts';
import type { PodStats } from './runtime.ts';
import type { RuntimeSystem } from './system.ts';

/** What a pod's running containers use, from their cgroups. */
export async function statsOf(pod: Pod, system: RuntimeSystem): Promise<PodStats> {
  const containers: PodStats['containers'][number][] = [];
  for (const { id, name, cgroup, state } of pod.containers) {
    if (state.state !== 'running') continue;
    const usage = await system.cgroupUsage(cgroup);
    if (usage !== undefined) containers.push({ id, name, ...usage, startedAtMs: state.startedAtMs });
  }
  const own = await system.cgroupUsage(pod.sandbox.config.cgroupParent);
  return {
    containers,
    // The pod's own cgroup also counts containers that are gone. Without controllers it counts nothing.
    cpuUsageNanoseconds: Math.max(
      own?.cpuUsageNanoseconds ?? 0,
      sum(containers.map((each) => each.cpuUsageNanoseconds)),
    ),
    memoryBytes: Math.max(own?.memoryBytes ?? 0, sum(containers.map((each) => each.memoryBytes))),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
