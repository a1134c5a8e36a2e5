/** What a cgroup limits and protects, in CRI's words, as the kubelet would say it. Pure. */
import { kernelResources } from '#agent/runtime/cgroup-resources.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import { planCgroupWrites } from '#native/cgroup/resources.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { LinuxContainerResources } from '#proto/cri/api.ts';

/**
 * CPU in shares: runtimes make weights of them by a curve of their own. What CRI has no field for goes by the names of cgroup v2's files. Those of
 * them that nobody asked for by name are left out where the pod's cgroup (`files`) has not got them: runc refuses a file that is not there.
 */
export function resourcesRequest(
  resources: CgroupResources,
  files: ReadonlySet<string>,
): Outgoing<LinuxContainerResources> {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs, memoryLimitBytes, pidsMax, hugepageLimits, unified, ...ruled } =
    kernelResources(resources);
  const { 'cpuset.cpus': cpus, 'cpuset.mems': mems, ...others } = unified ?? {};
  const writes = planCgroupWrites(ruled).filter(({ file }) => files.has(file));
  return {
    ...(cpuShares === undefined ? {} : { cpu_shares: cpuShares }),
    ...(cpuQuotaUs === undefined ? {} : { cpu_quota: cpuQuotaUs }),
    ...(cpuPeriodUs === undefined ? {} : { cpu_period: cpuPeriodUs }),
    ...(memoryLimitBytes === undefined ? {} : { memory_limit_in_bytes: memoryLimitBytes }),
    ...(cpus === undefined ? {} : { cpuset_cpus: cpus }),
    ...(mems === undefined ? {} : { cpuset_mems: mems }),
    ...(hugepageLimits === undefined
      ? {}
      : {
          hugepage_limits: hugepageLimits.map(({ pageSize, limitBytes }) => ({
            page_size: pageSize,
            limit: limitBytes,
          })),
        }),
    unified: {
      ...Object.fromEntries(writes.map(({ file, value }) => [file, value])),
      ...others,
      ...(pidsMax === undefined ? {} : { 'pids.max': String(pidsMax) }),
    },
  };
}
