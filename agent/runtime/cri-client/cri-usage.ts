/** What containers use, as a runtime that is asked by CRI says it. Pure but for one file. */
import { readFile } from 'node:fs/promises';
import { errnoOf } from '#base/errors.ts';
import type { ContainerStats as CriStats, PodSandboxStats, UInt64Value } from '#proto/cri/api.ts';
import { parseMountinfo } from '#native/mount/mountinfo.ts';
import type { CgroupUsage, ContainerStats, PodStats } from '#agent/runtime/runtime.ts';
import type { KnownContainer } from './observe.ts';

const valueOf = (value: UInt64Value | null | undefined): number => value?.value ?? 0;

function usageOf({ cpu, memory }: Pick<CriStats, 'cpu' | 'memory'>, processes: number): CgroupUsage {
  return {
    cpuUsageNanoseconds: valueOf(cpu?.usage_core_nano_seconds),
    memoryBytes: valueOf(memory?.usage_bytes) || valueOf(memory?.working_set_bytes),
    workingSetBytes: valueOf(memory?.working_set_bytes),
    rssBytes: valueOf(memory?.rss_bytes),
    pageFaults: valueOf(memory?.page_faults),
    majorPageFaults: valueOf(memory?.major_page_faults),
    processes,
  };
}

/** Of the containers that run. `pod`: undefined where the runtime does not say. */
export function podStatsOf(
  stats: readonly CriStats[],
  containers: readonly KnownContainer[],
  pod: PodSandboxStats | undefined,
): PodStats {
  const running = new Map(containers.map((each) => [each.criId, each]));
  const each = stats.flatMap((one): readonly ContainerStats[] => {
    const container = running.get(one.attributes?.id ?? '');
    if (container?.state.state !== 'running') return [];
    const { startedAtMs, pid } = container.state;
    return [{ id: container.id, name: container.name, ...usageOf(one, 0), startedAtMs, pid }];
  });
  const whole = usageOf(
    { cpu: pod?.linux?.cpu ?? null, memory: pod?.linux?.memory ?? null },
    valueOf(pod?.linux?.process?.process_count),
  );
  const most = (field: keyof CgroupUsage): number =>
    Math.max(
      whole[field],
      each.reduce((sum, one) => sum + one[field], 0),
    );
  return {
    containers: each,
    cpuUsageNanoseconds: most('cpuUsageNanoseconds'),
    memoryBytes: most('memoryBytes'),
    workingSetBytes: most('workingSetBytes'),
    rssBytes: most('rssBytes'),
    pageFaults: most('pageFaults'),
    majorPageFaults: most('majorPageFaults'),
    processes: most('processes'),
  };
}

/** The upper directory of a process's root, where that is an overlay (proc_pid_mountinfo(5)); undefined: it is none, or gone. */
export async function writableLayerOf(pid: number): Promise<string | undefined> {
  if (pid <= 0) return undefined;
  try {
    const mounts = parseMountinfo(await readFile(`/proc/${pid}/mountinfo`, 'utf8'));
    const root = mounts.findLast(({ target, type }) => target === '/' && type === 'overlay');
    const option = root?.superOptions.find((each) => each.startsWith('upperdir='));
    return option?.slice('upperdir='.length);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
