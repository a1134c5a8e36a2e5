/** What a node that is short of something says and does (Kubernetes, "Node-pressure Eviction"). Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { podRequests, resourceNumbers } from '#api/pod/requests.ts';
import { isStatic } from '#agent/kubelet/static/static-pod.ts';
import { formatQuantity, parseQuantity, quantityToInteger, type Quantity } from '#api/meta/quantity.ts';
import {
  amountOf,
  isOfMemory,
  isShort,
  type EvictionSettings,
  type Signal,
  type Threshold,
} from './thresholds.ts';

export interface Observation {
  readonly available: number;
  readonly capacity: number;
}

/** Of the signals that this host tells. */
export type Observations = ReadonlyMap<Signal, Observation>;

export type PressureCondition = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

const conditionOf: Readonly<Record<Signal, PressureCondition>> = {
  'memory.available': 'MemoryPressure',
  'allocatableMemory.available': 'MemoryPressure',
  'nodefs.available': 'DiskPressure',
  'nodefs.inodesFree': 'DiskPressure',
  'imagefs.available': 'DiskPressure',
  'imagefs.inodesFree': 'DiskPressure',
  'containerfs.available': 'DiskPressure',
  'containerfs.inodesFree': 'DiskPressure',
  'pid.available': 'PIDPressure',
};

export interface PressureState {
  /** By threshold: since when it is short. */
  readonly shortSince: ReadonlyMap<Threshold, number>;
  /** Those that were short for their grace: more has to be there again (evictionMinimumReclaim). */
  readonly met: ReadonlySet<Threshold>;
  /** When each condition was last so. */
  readonly lastPressedMs: ReadonlyMap<PressureCondition, number>;
}

export const noPressure: PressureState = {
  shortSince: new Map(),
  met: new Set(),
  lastPressedMs: new Map(),
};

export interface PressureStep {
  readonly state: PressureState;
  readonly conditions: ReadonlySet<PressureCondition>;
  /** For which something has to go now: of memory first, of a hard one before a soft one. */
  readonly due: Threshold | undefined;
}

export function stepPressure(
  before: PressureState,
  observations: Observations,
  { thresholds, transitionMs }: EvictionSettings,
  nowMs: number,
): PressureStep {
  const shortSince = new Map<Threshold, number>();
  for (const threshold of thresholds) {
    const observed = observations.get(threshold.signal);
    const since = before.shortSince.get(threshold);
    if (observed === undefined || !isShort(threshold, observed, before.met.has(threshold))) continue;
    shortSince.set(threshold, since ?? nowMs);
  }
  const due = [...shortSince].flatMap(([threshold, since]) =>
    nowMs - since >= threshold.graceMs ? [threshold] : [],
  );
  const lastPressedMs = new Map(before.lastPressedMs);
  // The node says what it is short of before the grace of a soft threshold is over, so that no pod comes meanwhile.
  for (const { signal } of shortSince.keys()) lastPressedMs.set(conditionOf[signal], nowMs);
  const conditions = new Set(
    [...lastPressedMs].filter(([, last]) => nowMs - last < transitionMs).map(([condition]) => condition),
  );
  const urgency = ({ signal, isHard }: Threshold): number => (isOfMemory(signal) ? 0 : 2) + (isHard ? 0 : 1);
  const [first] = due.toSorted((a, b) => urgency(a) - urgency(b));
  return { state: { shortSince, met: new Set(due), lastPressedMs }, conditions, due: first };
}

/** What a pod uses now. */
export interface PodUse {
  readonly pod: Pod;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly inodes: number;
  readonly processes: number;
  /** Of those that run; `storageBytes`: their own file systems and logs. */
  readonly containers: readonly ContainerUse[];
}

export interface ContainerUse {
  readonly name: string;
  readonly memoryBytes: number;
  readonly storageBytes: number;
}

/** system-node-critical and system-cluster-critical (scheduling.SystemCriticalPriority). */
const criticalPriority = 2_000_000_000;

/** What no shortage ends: static pods, and those that the cluster cannot do without. */
export function isCritical(pod: Pod): boolean {
  return isStatic(pod) || (pod.spec?.priority ?? 0) >= criticalPriority;
}

/**
 * Who goes first: of those that use more than they asked for, the least important, and of these the one that is furthest beyond; process ids
 * and inodes are asked for by nobody.
 */
export function rankPods(signal: Signal, pods: readonly PodUse[]): readonly PodUse[] {
  const beyond = (use: PodUse): number => usedOf(signal, use) - requestedOf(signal, use.pod);
  return pods
    .filter(({ pod }) => !isCritical(pod))
    .toSorted(
      (a, b) =>
        Number(beyond(b) > 0) - Number(beyond(a) > 0) ||
        (a.pod.spec?.priority ?? 0) - (b.pod.spec?.priority ?? 0) ||
        beyond(b) - beyond(a),
    );
}

function usedOf(signal: Signal, use: PodUse): number {
  if (isOfMemory(signal)) return use.memoryBytes;
  if (signal === 'pid.available') return use.processes;
  return signal.endsWith('inodesFree') ? use.inodes : use.storageBytes;
}

function requestedOf(signal: Signal, pod: Pod): number {
  const resource = resourceOf(signal);
  if (signal.endsWith('inodesFree') || resource === 'pids') return 0;
  return Number(resourceNumbers(podRequests(pod)).get(resource) ?? 0);
}

/** What there is too little of, by the name that the kubelet gives it. */
export function resourceOf(signal: Signal): 'memory' | 'pids' | 'inodes' | 'ephemeral-storage' {
  if (isOfMemory(signal)) return 'memory';
  if (signal === 'pid.available') return 'pids';
  return signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage';
}

/** What an evicted pod is told, and what its event carries beside that. */
export interface EvictionNotice {
  readonly message: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** As the kubelet says it: what there was too little of, and which containers had more of it than they asked for. */
export function evictionNotice(
  { signal, value }: Threshold,
  { available, capacity }: Observation,
  { pod, containers }: Pick<PodUse, 'pod' | 'containers'>,
): EvictionNotice {
  const resource = resourceOf(signal);
  const least = showAmount(signal, amountOf(value, capacity));
  const offending = containers.flatMap((container) => {
    const used = usedByContainer(resource, container);
    const requested = requestedByContainer(resource, container.name, pod);
    return used === undefined || requested === undefined || used <= quantityToInteger(requested)
      ? []
      : { name: container.name, used: showBytes(used), requested: formatQuantity(requested) };
  });
  const message = [
    `The node was low on resource: ${resource}. `,
    `Threshold quantity: ${least}, available: ${showAmount(signal, available)}. `,
    ...offending.map(
      ({ name, used, requested }) =>
        `Container ${name} was using ${used}, request is ${requested}, has larger consumption of ${resource}. `,
    ),
  ].join('');
  const annotations = {
    offending_containers: offending.map(({ name }) => name).join(','),
    offending_containers_usage: offending.map(({ used }) => used).join(','),
    starved_resource: resource,
  };
  return { message, annotations };
}

function usedByContainer(resource: string, use: ContainerUse): number | undefined {
  if (resource === 'memory') return use.memoryBytes;
  return resource === 'ephemeral-storage' ? use.storageBytes : undefined;
}

/** Of a main container; what it was given counts, where a resize is not done yet. */
function requestedByContainer(resource: string, name: string, { spec, status }: Pod): Quantity | undefined {
  const container = spec?.containers.find((each) => each.name === name);
  if (container === undefined) return undefined;
  const given = status?.containerStatuses?.find((each) => each.name === name)?.allocatedResources;
  return parseQuantity(given?.[resource] ?? container.resources?.requests?.[resource] ?? '0');
}

function showAmount(signal: Signal, amount: number): string {
  return signal.endsWith('.available') && signal !== 'pid.available' ? showBytes(amount) : String(amount);
}

function showBytes(amount: number): string {
  return formatQuantity({ nanos: BigInt(Math.floor(amount)) * 1_000_000_000n, format: 'BinarySI' });
}
