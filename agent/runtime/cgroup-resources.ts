/** A pod's resources in the terms of the cgroup port. Pure. */
import type { CgroupController, CgroupResources as KernelResources } from '#native/cgroup/cgroup.ts';
import { sharesToWeight } from '#native/cgroup/resources.ts';
import type { CgroupResources } from './runtime.ts';

/** What is enabled on the way down to every pod and container, where the host has it. */
export const wantedControllers: readonly CgroupController[] = ['cpu', 'cpuset', 'io', 'memory', 'pids'];

/** Absent stays absent: as it is. */
export function kernelResources(resources: CgroupResources): KernelResources {
  const { cpuWeight, cpuQuotaUs, cpuPeriodUs, memoryMaxBytes, pidsMax, unified } = resources;
  const { memoryMinBytes, memoryLowBytes, memoryHighBytes, swapMaxBytes, isOomGroup, hugePages } = resources;
  return {
    ...(cpuWeight === undefined ? {} : { cpuShares: sharesOf(cpuWeight) }),
    ...(cpuQuotaUs === undefined ? {} : { cpuQuotaUs }),
    ...(cpuPeriodUs === undefined ? {} : { cpuPeriodUs }),
    ...(memoryMaxBytes === undefined ? {} : { memoryLimitBytes: memoryMaxBytes }),
    ...(memoryMinBytes === undefined ? {} : { memoryMinBytes }),
    ...(memoryLowBytes === undefined ? {} : { memoryLowBytes }),
    ...(memoryHighBytes === undefined ? {} : { memoryHighBytes }),
    ...(swapMaxBytes === undefined ? {} : { swapLimitBytes: swapMaxBytes }),
    ...(isOomGroup === undefined ? {} : { oomGroup: isOomGroup }),
    ...(pidsMax === undefined ? {} : { pidsMax }),
    ...(hugePages === undefined ? {} : { hugepageLimits: hugepageLimitsOf(hugePages) }),
    ...(unified === undefined ? {} : { unified }),
  };
}

function hugepageLimitsOf(
  pages: Readonly<Record<string, number>>,
): NonNullable<KernelResources['hugepageLimits']> {
  return Object.entries(pages).map(([pageSize, limitBytes]) => ({ pageSize, limitBytes }));
}

/** Those that are enabled for a cgroup with these resources. */
export function controllersFor({ unified = {}, hugePages }: CgroupResources): readonly CgroupController[] {
  if (hugePages !== undefined) return [...wantedControllers, 'hugetlb'];
  const isHuge = Object.keys(unified).some((file) => file.startsWith('hugetlb.'));
  return isHuge ? [...wantedControllers, 'hugetlb'] : wantedControllers;
}

/** A weight in the terms of the cgroup port, which takes v1 shares: the fewest that give at least this weight. */
function sharesOf(weight: number): number {
  let [low, high] = [2, 262_144];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (sharesToWeight(middle) < weight) low = middle + 1;
    else high = middle;
  }
  return low;
}
