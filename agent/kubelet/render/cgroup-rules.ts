/** What KubeletConfiguration and the node make of the cgroup of a pod or of a container, beyond what it asks for. Pure. */
import type { Container, EphemeralContainer, Pod } from '#api/generated/objects.ts';
import { podLimits, resourceNumbers } from '#api/pod/requests.ts';
import { parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import type { Placement } from '#agent/kubelet/assign/node-assignments.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import { amountsOf, cpuPeriodUs, qosClassOf, withPodLimits } from './resources.ts';

export interface CgroupRules {
  /** cpuCFSQuota, cpuCFSQuotaPeriod */
  readonly hasQuota: boolean;
  readonly periodUs: number;
  /** singleProcessOOMKill */
  readonly isSingleOomKill: boolean;
  /** memorySwap.swapBehavior */
  readonly swap: 'NoSwap' | 'LimitedSwap';
  /** memoryThrottlingFactor; undefined: memory.high is left alone (MemoryQoS is off). */
  readonly throttlingFactor: number | undefined;
  /** memoryReservationPolicy */
  readonly isReserving: boolean;
}

export const defaultCgroupRules: CgroupRules = {
  hasQuota: true,
  periodUs: cpuPeriodUs,
  isSingleOomKill: false,
  swap: 'NoSwap',
  throttlingFactor: undefined,
  isReserving: false,
};

/** What a node has, as far as cgroups are rendered of it. */
export interface CgroupFacts {
  readonly memoryBytes: number;
  readonly allocatable: { readonly memoryBytes: number };
  readonly swapBytes?: number | undefined;
  /** Sizes of huge pages that the kernel has: `2Mi`. Undefined: none. */
  readonly hugePageSizes?: readonly string[] | undefined;
  readonly cgroupRules?: CgroupRules | undefined;
  /** Of a container; undefined: CPUs and memory are everybody's. */
  readonly placementOf?: ((uid: string, container: string) => Placement) | undefined;
  readonly pageBytes?: number;
}

type AnyContainer = Container | EphemeralContainer;

/** The container's, of what it asks for. */
export function ruledContainer(
  resources: CgroupResources,
  { pod, container }: { readonly pod: Pod; readonly container: AnyContainer },
  node: CgroupFacts,
): CgroupResources {
  const rules = node.cgroupRules ?? defaultCgroupRules;
  const place = node.placementOf?.(pod.metadata?.uid ?? '', container.name);
  const unified = {
    ...(place?.cpus === undefined ? {} : { 'cpuset.cpus': place.cpus }),
    ...(place?.mems === undefined ? {} : { 'cpuset.mems': place.mems }),
  };
  return {
    ...resources,
    ...quotaOf(resources, rules, place?.isAlone === true),
    isOomGroup: !rules.isSingleOomKill,
    swapMaxBytes: swapOf(pod, container, node),
    ...protectionOf(pod, container, node),
    ...hugePagesOf(withPodLimits(container.resources, pod.spec?.resources).limits ?? {}, node),
    ...(Object.keys(unified).length === 0 ? {} : { unified: { ...resources.unified, ...unified } }),
  };
}

/** The pod's own. */
export function ruledPod(resources: CgroupResources, pod: Pod, node: CgroupFacts): CgroupResources {
  const rules = node.cgroupRules ?? defaultCgroupRules;
  const limits = Object.fromEntries(
    [...resourceNumbers(podLimits(pod))].map(([name, value]) => [name, String(value)]),
  );
  return {
    ...resources,
    ...quotaOf(resources, rules, hasCpusAlone(pod, node)),
    ...hugePagesOf(limits, node),
  };
}

/** What another runtime is told of a pod's part: no limit of it is on a cgroup (calculateLinuxResources of pkg/kubelet/kuberuntime). */
export function ruledAmounts(resources: CgroupResources, pod: Pod, node: CgroupFacts): CgroupResources {
  const rules = node.cgroupRules ?? defaultCgroupRules;
  const quota = quotaOf(resources, rules, hasCpusAlone(pod, node));
  return { ...resources, ...quota, ...(rules.isSingleOomKill ? {} : { isOomGroup: true }) };
}

function hasCpusAlone({ metadata, spec }: Pod, { placementOf }: CgroupFacts): boolean {
  const uid = metadata?.uid ?? '';
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return all.some(({ name }) => placementOf?.(uid, name).isAlone === true);
}

/** Who has CPUs alone needs no quota, which would only throttle it (KEP-3570, DisableCPUQuotaWithExclusiveCPUs). */
function quotaOf(
  { cpuQuotaUs }: CgroupResources,
  { hasQuota, periodUs }: CgroupRules,
  isAlone: boolean,
): Pick<CgroupResources, 'cpuQuotaUs' | 'cpuPeriodUs'> {
  if (cpuQuotaUs === undefined) return {};
  if (!hasQuota || isAlone) return { cpuQuotaUs: -1, cpuPeriodUs: periodUs };
  // The kernel takes no quota below a millisecond.
  return {
    cpuQuotaUs: Math.max(1000, Math.floor((cpuQuotaUs * periodUs) / cpuPeriodUs)),
    cpuPeriodUs: periodUs,
  };
}

/** LimitedSwap: a Burstable container's part of the swap is its request's part of the memory (KEP-2400). */
function swapOf(
  pod: Pod,
  { resources }: AnyContainer,
  { memoryBytes, swapBytes = 0, cgroupRules }: CgroupFacts,
): number {
  const isCritical = (pod.spec?.priority ?? 0) >= 2_000_000_000;
  if (cgroupRules?.swap !== 'LimitedSwap' || qosClassOf(pod) !== 'Burstable' || isCritical) return 0;
  const requested = amountsOf(resources?.requests).memoryBytes ?? 0;
  const limit = amountsOf(resources?.limits).memoryBytes;
  if (requested === 0 || requested === limit) return 0;
  return Math.floor((requested / Math.max(1, memoryBytes)) * swapBytes);
}

/** memory.high by the throttling factor; memory.min and memory.low by the reservation (KEP-2570). */
function protectionOf(
  pod: Pod,
  { resources }: AnyContainer,
  { allocatable, cgroupRules, pageBytes = 4096 }: CgroupFacts,
): CgroupResources {
  const { throttlingFactor, isReserving = false } = cgroupRules ?? {};
  const qos = qosClassOf(pod);
  const limit = amountsOf(resources?.limits).memoryBytes;
  const request = amountsOf(resources?.requests).memoryBytes ?? limit ?? 0;
  const most = limit ?? allocatable.memoryBytes;
  const high =
    throttlingFactor === undefined || qos === 'Guaranteed'
      ? undefined
      : Math.floor((request + throttlingFactor * (most - request)) / pageBytes) * pageBytes;
  return {
    ...(high === undefined || high <= request ? {} : { memoryHighBytes: high }),
    ...(isReserving && qos === 'Guaranteed' && request > 0 ? { memoryMinBytes: request } : {}),
    ...(isReserving && qos === 'Burstable' && request > 0 ? { memoryLowBytes: request } : {}),
  };
}

/** Of every size that the kernel has: who asks for none gets none. */
function hugePagesOf(
  limits: Readonly<Record<string, string>>,
  { hugePageSizes = [] }: CgroupFacts,
): Pick<CgroupResources, 'hugePages'> {
  if (hugePageSizes.length === 0) return {};
  return {
    hugePages: Object.fromEntries(
      hugePageSizes.map((size) => {
        const limit = limits[`hugepages-${size}`];
        // hugetlb.2MB.max is of resource hugepages-2Mi.
        return [
          `${size.replace('i', '')}B`,
          limit === undefined ? 0 : quantityToInteger(parseQuantity(limit)),
        ];
      }),
    ),
  };
}
