import type { Container, EphemeralContainer, Pod, ResourceRequirements } from '#api/generated/objects.ts';
import { objectOf } from '#api/wire/json.ts';
import { qosClass, type QosClass } from '#api/pod/qos.ts';
import { isSidecar, podLimits, podRequests, resourceNumbers, runningAmounts } from '#api/pod/requests.ts';
import { parseQuantity, quantityToInteger, quantityToMilli } from '#api/meta/quantity.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';

type Amounts = Readonly<Record<string, string>> | undefined;

/** cpu in thousandths and memory in bytes; undefined where not given. */
export interface ComputeAmounts {
  readonly cpuMilli: number | undefined;
  readonly memoryBytes: number | undefined;
}

export function amountsOf(amounts: Amounts): ComputeAmounts {
  const cpu = amounts?.['cpu'];
  const memory = amounts?.['memory'];
  return {
    cpuMilli: cpu === undefined ? undefined : quantityToMilli(parseQuantity(cpu)),
    memoryBytes: memory === undefined ? undefined : quantityToInteger(parseQuantity(memory)),
  };
}

export function qosClassOf(pod: Pod): QosClass {
  return qosClass(objectOf(pod));
}

/** Relative to the node's root cgroup, as kubelet's cgroupfs driver lays it out. */
export function podCgroup(pod: Pod): string {
  const qos = qosClassOf(pod);
  const uid = pod.metadata?.uid ?? '';
  return qos === 'Guaranteed' ? `kubepods/pod${uid}` : `kubepods/${qos.toLowerCase()}/pod${uid}`;
}

export const cpuPeriodUs = 100_000;
const cpuQuotaUsMin = 1000;

/** Requests and limits in cgroup v2 terms. */
export function cgroupResources(requests: ComputeAmounts, limits: ComputeAmounts): CgroupResources {
  const cpuMilli = requests.cpuMilli ?? limits.cpuMilli;
  const quota = limits.cpuMilli === undefined || limits.cpuMilli === 0 ? undefined : limits.cpuMilli * 100;
  return {
    cpuWeight: cpuWeight(cpuMilli ?? 0),
    ...(quota === undefined ? {} : { cpuQuotaUs: Math.max(cpuQuotaUsMin, quota), cpuPeriodUs }),
    ...(limits.memoryBytes === undefined || limits.memoryBytes === 0
      ? {}
      : { memoryMaxBytes: limits.memoryBytes }),
  };
}

/**
 * cpu.weight of a request: cpu shares (1024 per cpu) through runc's curve, which maps 1024 shares to 100:
 * `ceil(10^((l² + 125 l) / 612 - 7/34))` with `l = log2(shares)`.
 */
export function cpuWeight(cpuMilli: number): number {
  const shares = Math.min(262_144, Math.max(2, Math.floor((cpuMilli * 1024) / 1000)));
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/**
 * What a container asks for, with the limits of its pod where it has none of its own (KEP-2837): each of them may use all that
 * the pod may. Source: getCPULimit and getMemoryLimit of pkg/kubelet/kuberuntime.
 */
export function withPodLimits(
  own: ResourceRequirements | undefined,
  whole: ResourceRequirements | undefined,
): ResourceRequirements {
  const inherited = Object.entries(whole?.limits ?? {}).filter(
    ([name]) => isOfContainers(name) && isZero(own?.limits?.[name]),
  );
  if (inherited.length === 0) return own ?? {};
  return { ...own, limits: { ...own?.limits, ...Object.fromEntries(inherited) } };
}

function isOfContainers(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');
}

function isZero(amount: string | undefined): boolean {
  return amount === undefined || parseQuantity(amount).nanos === 0n;
}

export function cgroupOf({ requests, limits }: ResourceRequirements): CgroupResources {
  return cgroupResources(amountsOf(requests), amountsOf(limits));
}

/** The pod's own cgroup: its requests; its limits only where every container has one. */
export function podCgroupResources(pod: Pod, pidsMax: number | undefined): CgroupResources {
  const { initContainers = [], containers = [], resources } = pod.spec ?? { containers: [] };
  const all = [...initContainers, ...containers].map((c) => c.resources?.limits);
  const isLimited = (name: string): boolean =>
    resources?.limits?.[name] !== undefined || all.every((limits) => limits?.[name] !== undefined);
  const requests = resourceNumbers(podRequests(pod));
  const limits = resourceNumbers(podLimits(pod));
  const limit = (name: string): number | undefined => (isLimited(name) ? limits.get(name) : undefined);
  return {
    ...cgroupResources(
      { cpuMilli: requests.get('cpu'), memoryBytes: requests.get('memory') },
      { cpuMilli: limit('cpu'), memoryBytes: limit('memory') },
    ),
    ...(pidsMax === undefined ? {} : { pidsMax }),
  };
}

function memoryRequestOf({ resources }: Container | EphemeralContainer): number {
  return amountsOf(resources?.requests).memoryBytes ?? amountsOf(resources?.limits).memoryBytes ?? 0;
}

/**
 * What a pod requests as a whole beyond what its containers do at most at one time (KEP-2837), in equal parts for all of them;
 * bytes. Source: remainingPodMemReqPerContainer of pkg/kubelet/qos.
 */
function unclaimedMemory({ spec }: Pod): number {
  const whole = amountsOf(spec?.resources?.requests).memoryBytes;
  if (spec === undefined || whole === undefined) return 0;
  const claimed = resourceNumbers(runningAmounts(spec, 'requests')).get('memory') ?? 0;
  const count = spec.containers.length + (spec.initContainers?.length ?? 0);
  return Math.max(0, Math.floor((whole - claimed) / Math.max(1, count)));
}

/**
 * As the kubelet sets it: Guaranteed −997, BestEffort 1000, Burstable by the share of the node's memory requested. A sidecar is
 * killed no sooner than the main container that requests least.
 */
export function oomScoreAdj(
  pod: Pod,
  container: Container | EphemeralContainer,
  nodeMemoryBytes: number,
): number {
  if ((pod.spec?.priority ?? 0) >= 2_000_000_000) return -997;
  const qos = qosClassOf(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const isBeside =
    pod.spec?.initContainers?.some((each) => each.name === container.name && isSidecar(each)) === true;
  const least = isBeside ? Math.min(...(pod.spec?.containers ?? []).map(memoryRequestOf)) : 0;
  const requested = Math.max(memoryRequestOf(container), least) + unclaimedMemory(pod);
  const score = 1000 - Math.floor((1000 * requested) / Math.max(1, nodeMemoryBytes));
  return Math.min(999, Math.max(3, score));
}
