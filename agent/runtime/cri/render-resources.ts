/** Resources of CRI in terms of the runtime. Pure. */
import { sharesToWeight } from '#native/cgroup/resources.ts';
import type { HugepageLimit, LinuxContainerResources } from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';

type Asked = LinuxContainerResources | null | undefined;

/** 0 and '' are: not said. -1 is: no limit. What CRI has no word for comes in `unified`. @throws INVALID_ARGUMENT */
export function cgroupResourcesOf(asked: Asked): CgroupResources {
  if (asked === null || asked === undefined) return {};
  const { cpu_shares: shares, cpu_quota: quota, cpu_period: period, memory_limit_in_bytes: memory } = asked;
  const unified = unifiedOf(asked);
  return {
    ...(shares > 0 ? { cpuWeight: sharesToWeight(Math.max(2, shares)) } : {}),
    ...(quota === 0 ? {} : { cpuQuotaUs: quota }),
    ...(period > 0 ? { cpuPeriodUs: period } : {}),
    ...(memory === 0 ? {} : { memoryMaxBytes: memory }),
    ...(Object.keys(unified).length === 0 ? {} : { unified }),
  };
}

function unifiedOf(asked: LinuxContainerResources): Readonly<Record<string, string>> {
  const swap = swapMaxOf(asked.memory_limit_in_bytes, asked.memory_swap_limit_in_bytes);
  return {
    ...(asked.cpuset_cpus === '' ? {} : { 'cpuset.cpus': asked.cpuset_cpus }),
    ...(asked.cpuset_mems === '' ? {} : { 'cpuset.mems': asked.cpuset_mems }),
    ...(swap === undefined ? {} : { 'memory.swap.max': swap }),
    ...Object.fromEntries(asked.hugepage_limits.map(hugepageFile)),
    ...asked.unified,
  };
}

/** CRI's limit is of memory and swap together, as in cgroup v1; memory.swap.max is of swap alone. */
function swapMaxOf(memory: number, both: number): string | undefined {
  if (both === 0) return undefined;
  if (both === -1) return 'max';
  if (memory <= 0 || both < memory) {
    throw refusal(
      'INVALID_ARGUMENT',
      `memory_swap_limit_in_bytes ${both}: it counts memory_limit_in_bytes (${memory}) in`,
    );
  }
  return String(both - memory);
}

function hugepageFile({ page_size: size, limit }: HugepageLimit): readonly [string, string] {
  if (!/^\d+[KMG]B$/.test(size))
    throw refusal('INVALID_ARGUMENT', `hugepage_limits: page size ${JSON.stringify(size)}`);
  return [`hugetlb.${size}.max`, String(limit)];
}

/** What is in force after an update: what the update does not say stays. */
export function mergeResources(before: Asked, update: LinuxContainerResources): LinuxContainerResources {
  if (before === null || before === undefined) return update;
  const number = (name: NumberField): number => (update[name] === 0 ? before[name] : update[name]);
  const sizes = new Set(update.hugepage_limits.map((each) => each.page_size));
  return {
    cpu_period: number('cpu_period'),
    cpu_quota: number('cpu_quota'),
    cpu_shares: number('cpu_shares'),
    memory_limit_in_bytes: number('memory_limit_in_bytes'),
    memory_swap_limit_in_bytes: number('memory_swap_limit_in_bytes'),
    oom_score_adj: number('oom_score_adj'),
    cpuset_cpus: update.cpuset_cpus === '' ? before.cpuset_cpus : update.cpuset_cpus,
    cpuset_mems: update.cpuset_mems === '' ? before.cpuset_mems : update.cpuset_mems,
    hugepage_limits: [
      ...before.hugepage_limits.filter((each) => !sizes.has(each.page_size)),
      ...update.hugepage_limits,
    ],
    unified: { ...before.unified, ...update.unified },
  };
}

type NumberField =
  | 'cpu_period'
  | 'cpu_quota'
  | 'cpu_shares'
  | 'memory_limit_in_bytes'
  | 'memory_swap_limit_in_bytes'
  | 'oom_score_adj';
