/** Kubernetes' resource numbers as cgroup v2 file contents. Pure. */
import { PodwrightError } from '#base/errors.ts';
import type { CgroupController, CgroupResources, CgroupWrite } from './cgroup.ts';

const sharesMin = 2;
const sharesMax = 262_144;
const periodUsDefault = 100_000;
/** The kernel refuses a shorter quota (kernel/sched/core.c, min_cfs_quota_period). */
const quotaUsMin = 1_000;

/** Requests in thousandths of a CPU as v1 shares (kubelet's MilliCPUToShares): 1024 for one CPU, never below 2. */
export function milliCpuToShares(milliCpu: number): number {
  return Math.min(sharesMax, Math.max(sharesMin, Math.floor((milliCpu * 1024) / 1000)));
}

/** Limits in thousandths of a CPU as microseconds per period (kubelet's MilliCPUToQuota); -1, no limit, for 0. */
export function milliCpuToQuotaUs(milliCpu: number, periodUs: number = periodUsDefault): number {
  if (milliCpu <= 0) return -1;
  return Math.max(quotaUsMin, Math.floor((milliCpu * periodUs) / 1000));
}

/**
 * v1 shares 2..262144 as v2 weight 1..10000, with 1024 at the default weight of 100: the curve of crun since 1.23 and runc
 * since 1.3.2 (Kubernetes blog, "New Conversion from cgroup v1 CPU Shares to v2 CPU Weight"). The kubelet's getCPUWeight keeps
 * KEP-2254's straight line for its pod cgroups, which gives one CPU 39 beside a system.slice of 100; we use one curve on all
 * levels. Only siblings are weighed against each other, so shares between pods keep their order either way.
 */
export function sharesToWeight(shares: number): number {
  if (shares <= sharesMin) return 1;
  if (shares >= sharesMax) return 10_000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** The files to write, in an order that the kernel accepts. @throws E_INVALID for numbers that mean nothing */
export function planCgroupWrites(resources: CgroupResources): readonly CgroupWrite[] {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs } = resources;
  const writes: (CgroupWrite | undefined)[] = [
    cpuShares === undefined
      ? undefined
      : {
          file: 'cpu.weight',
          value: String(sharesToWeight(natural('cpuShares', cpuShares))),
          controller: 'cpu',
        },
    cpuQuotaUs === undefined && cpuPeriodUs === undefined
      ? undefined
      : {
          file: 'cpu.max',
          value: `${limit('cpuQuotaUs', cpuQuotaUs ?? -1)} ${natural('cpuPeriodUs', cpuPeriodUs ?? periodUsDefault)}`,
          controller: 'cpu',
        },
    // What protects before what limits: a limit below the present use reclaims at once.
    memory('memory.min', 'memoryMinBytes', resources.memoryMinBytes),
    memory('memory.low', 'memoryLowBytes', resources.memoryLowBytes),
    memory('memory.high', 'memoryHighBytes', resources.memoryHighBytes),
    memory('memory.max', 'memoryLimitBytes', resources.memoryLimitBytes),
    optional(memory('memory.swap.max', 'swapLimitBytes', resources.swapLimitBytes)),
    resources.oomGroup === undefined
      ? undefined
      : { file: 'memory.oom.group', value: resources.oomGroup ? '1' : '0', controller: 'memory' },
    resources.pidsMax === undefined
      ? undefined
      : { file: 'pids.max', value: limit('pidsMax', resources.pidsMax), controller: 'pids' },
    ...(resources.hugepageLimits ?? []).map(hugepageWrite),
    ...Object.entries(resources.unified ?? {}).map(unifiedWrite),
  ];
  return writes.filter((write) => write !== undefined);
}

function optional(write: CgroupWrite | undefined): CgroupWrite | undefined {
  return write === undefined ? undefined : { ...write, isOptional: true };
}

function memory(file: string, name: string, bytes: number | undefined): CgroupWrite | undefined {
  return bytes === undefined ? undefined : { file, value: limit(name, bytes), controller: 'memory' };
}

function hugepageWrite(page: { readonly pageSize: string; readonly limitBytes: number }): CgroupWrite {
  if (!/^\d+[KMG]B$/.test(page.pageSize)) throw invalid('hugepage size', page.pageSize);
  return {
    file: `hugetlb.${page.pageSize}.max`,
    value: limit('hugepage limit', page.limitBytes),
    controller: 'hugetlb',
  };
}

/** Of which controller a file is, its name says (cgroups(7)). */
const fileName = /^(cpu|cpuset|hugetlb|io|memory|pids)(?:\.[A-Za-z0-9_]+)+$/;

function unifiedWrite([file, value]: readonly [string, string]): CgroupWrite {
  const controller = controllers.find((each) => each === fileName.exec(file)?.[1]);
  if (controller === undefined || /[\n\0]/.test(value)) throw invalid('file of a cgroup', file);
  return { file, value, controller };
}

const controllers: readonly CgroupController[] = ['cpu', 'cpuset', 'hugetlb', 'io', 'memory', 'pids'];

function invalid(name: string, value: unknown): PodwrightError {
  return new PodwrightError('E_INVALID', `use ${String(value)} as ${name}`);
}

function natural(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid(name, value);
}

/** -1 is `max`. */
function limit(name: string, value: number): string {
  return value === -1 ? 'max' : String(natural(name, value));
}
