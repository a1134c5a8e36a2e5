/** What a node that is short of something says and does (Kubernetes, "Node-pressure Eviction"). Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { podRequests, resourceNumbers } from '#api/pod/requests.ts';
import { isStatic } from '#agent/kubelet/static/static-pod.ts';
import { amountOf, isShort, type EvictionSettings, type Signal, type Threshold } from './thresholds.ts';

export interface Observation {
  readonly available: number;
  readonly capacity: number;
}

/** Of the signals that this host tells. */
export type Observations = ReadonlyMap<Signal, Observation>;

export type PressureCondition = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

const conditionOf: Readonly<Record<Signal, PressureCondition>> = {
  'memory.available': 'MemoryPressure',
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
  /** When each condition was last so. */
  readonly lastPressedMs: ReadonlyMap<PressureCondition, number>;
}

export const noPressure: PressureState = { shortSince: new Map(), lastPressedMs: new Map() };

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
    if (observed === undefined || !isShort(threshold, observed, since !== undefined)) continue;
    shortSince.set(threshold, since ?? nowMs);
  }
  const due = [...shortSince].filter(([{ graceMs }, since]) => nowMs - since >= graceMs);
  const lastPressedMs = new Map(before.lastPressedMs);
  for (const [{ signal }] of due) lastPressedMs.set(conditionOf[signal], nowMs);
  const conditions = new Set(
    [...lastPressedMs].filter(([, last]) => nowMs - last < transitionMs).map(([condition]) => condition),
  );
  const urgency = ({ signal, isHard }: Threshold): number =>
    (signal === 'memory.available' ? 0 : 2) + (isHard ? 0 : 1);
  const [first] = due.map(([threshold]) => threshold).toSorted((a, b) => urgency(a) - urgency(b));
  return { state: { shortSince, lastPressedMs }, conditions, due: first };
}

/** What a pod uses now. */
export interface PodUse {
  readonly pod: Pod;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly inodes: number;
  readonly processes: number;
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
  if (signal === 'memory.available') return use.memoryBytes;
  if (signal === 'pid.available') return use.processes;
  return signal.endsWith('inodesFree') ? use.inodes : use.storageBytes;
}

function requestedOf(signal: Signal, pod: Pod): number {
  const resource = resourceOf(signal);
  if (signal.endsWith('inodesFree') || resource === 'pids') return 0;
  return Number(resourceNumbers(podRequests(pod)).get(resource) ?? 0);
}

function resourceOf(signal: Signal): 'memory' | 'pids' | 'inodes' | 'ephemeral-storage' {
  if (signal === 'memory.available') return 'memory';
  if (signal === 'pid.available') return 'pids';
  return signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage';
}

/** As the kubelet says it. */
export function evictionMessage({ signal, value }: Threshold, { available, capacity }: Observation): string {
  const bytes = signal.endsWith('.available') && signal !== 'pid.available';
  const show = (amount: number): string => (bytes ? `${Math.floor(amount / 1024)}Ki` : String(amount));
  const least = amountOf(value, capacity);
  return `The node was low on resource: ${resourceOf(signal)}. Threshold quantity: ${show(least)}, available: ${show(available)}. `;
}
