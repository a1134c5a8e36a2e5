import type { Pod } from '#api/generated/objects.ts';
import { isSidecar } from '#api/pod/requests.ts';
import { isActive, isPodReady } from '#api/pod/state.ts';
import { readySinceMs } from './pod-state.ts';

const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';
const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * The pods in the order in which to delete them: those that cost least first. The criteria of kube-controller-manager's
 * ActivePodsWithRanks: no node, phase, not ready, deletion cost, more of the owner's pods on the node, ready for less time
 * (by order of magnitude), more restarts (of containers, then of sidecars), younger.
 */
export function rankForDeletion(
  pods: readonly Pod[],
  /** All pods that spread with these: the deletion evens out the nodes. */
  related: readonly Pod[],
  nowMs: number,
): readonly Pod[] {
  const perNode = new Map<string, number>();
  for (const { spec } of related.filter(isActive)) {
    if (spec?.nodeName !== undefined) perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  const first = pods.map((pod) => ({
    ...rankedOf(pod),
    keys: [...stageKeys(pod), ...placeKeys(pod, perNode)],
  }));
  return first.toSorted((a, b) => compare(a, b, nowMs)).map(({ pod }) => pod);
}

/**
 * The same for pods that are not spread and have no deletion cost, as those of a Job (kube-controller-manager's ActivePods): no
 * node, phase, not ready, ready for less time, more restarts, younger.
 */
export function rankActive(pods: readonly Pod[]): readonly Pod[] {
  const first = pods.map((pod) => ({ ...rankedOf(pod), keys: stageKeys(pod) }));
  return first.toSorted((a, b) => compare(a, b)).map(({ pod }) => pod);
}

/** Lower keys are deleted first, key by key, then younger ones, of unknown age before all. */
interface Ranked {
  readonly pod: Pod;
  readonly keys: readonly number[];
  readonly readySinceMs: number;
  readonly restarts: readonly number[];
  readonly createdMs: number;
}

const unknownMs = Number.POSITIVE_INFINITY;

function rankedOf(pod: Pod): Omit<Ranked, 'keys'> {
  return {
    pod,
    readySinceMs: (readySinceMs(pod) ?? 0) || unknownMs,
    restarts: restartKeys(pod),
    createdMs: Date.parse(pod.metadata?.creationTimestamp ?? '') || unknownMs,
  };
}

function compare(a: Ranked, b: Ranked, nowMs?: number): number {
  return (
    compareKeys(a.keys, b.keys) ||
    compareSince([a.pod, a.readySinceMs], [b.pod, b.readySinceMs], nowMs) ||
    compareKeys(a.restarts, b.restarts) ||
    compareSince([a.pod, a.createdMs], [b.pod, b.createdMs], nowMs)
  );
}

/** A later time first. With a present time, ages of one order of magnitude are alike, and the uid decides: that is as good as chance. */
function compareSince(
  [a, aMs]: readonly [pod: Pod, ms: number],
  [b, bMs]: readonly [pod: Pod, ms: number],
  nowMs: number | undefined,
): number {
  if (aMs === bMs) return 0;
  if (nowMs === undefined || aMs === unknownMs || bMs === unknownMs) return aMs > bMs ? -1 : 1;
  const difference = magnitude(nowMs - aMs) - magnitude(nowMs - bMs);
  if (difference !== 0) return difference;
  const [uidA, uidB] = [a.metadata?.uid ?? '', b.metadata?.uid ?? ''];
  return uidA < uidB ? -1 : uidA > uidB ? 1 : 0;
}

function placeKeys({ metadata, spec }: Pod, perNode: ReadonlyMap<string, number>): readonly number[] {
  return [
    Number(metadata?.annotations?.[deletionCostAnnotation] ?? 0) || 0,
    -(perNode.get(spec?.nodeName ?? '') ?? 0),
  ];
}

/** How far the pod has come. */
function stageKeys(pod: Pod): readonly number[] {
  const { nodeName = '' } = pod.spec ?? {};
  const phase = phaseOrder[pod.status?.phase ?? 'Unknown'] ?? 1;
  return [nodeName === '' ? 0 : 1, phase, isPodReady(pod) ? 1 : 0];
}

function restartKeys(pod: Pod): readonly number[] {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const restarts = containerStatuses.map(({ restartCount }) => restartCount);
  const sidecars = new Set((pod.spec?.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const restartsBeside = initContainerStatuses
    .filter(({ name }) => sidecars.has(name))
    .map(({ restartCount }) => restartCount);
  return [-Math.max(0, ...restarts), -Math.max(0, ...restartsBeside)];
}

/** The power of two in which an age is, in nanoseconds as upstream has them: those of one are alike. */
function magnitude(ms: number): number {
  return ms > 0 ? Math.floor(Math.log2(ms * 1_000_000)) : -1;
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (const [index, key] of a.entries()) {
    const difference = key - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
