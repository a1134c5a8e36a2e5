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
  const keyed = pods.map((pod) => ({ pod, keys: sortKeys(pod, perNode, nowMs) }));
  return keyed.toSorted((a, b) => compareKeys(a.keys, b.keys)).map(({ pod }) => pod);
}

/**
 * The same for pods that are not spread and have no deletion cost, as those of a Job (kube-controller-manager's ActivePods): no
 * node, phase, not ready, ready for less time, more restarts, younger.
 */
export function rankActive(pods: readonly Pod[]): readonly Pod[] {
  const keyed = pods.map((pod) => {
    const createdMs = Date.parse(pod.metadata?.creationTimestamp ?? '') || 0;
    return { pod, keys: [...stageKeys(pod), -(readySinceMs(pod) ?? 0), ...restartKeys(pod), -createdMs] };
  });
  return keyed.toSorted((a, b) => compareKeys(a.keys, b.keys)).map(({ pod }) => pod);
}

/** Lower is deleted first, key by key. */
function sortKeys(pod: Pod, perNode: ReadonlyMap<string, number>, nowMs: number): readonly number[] {
  return [
    ...stageKeys(pod),
    Number(pod.metadata?.annotations?.[deletionCostAnnotation] ?? 0) || 0,
    -(perNode.get(pod.spec?.nodeName ?? '') ?? 0),
    magnitude(nowMs - (readySinceMs(pod) ?? nowMs)),
    ...restartKeys(pod),
    magnitude(nowMs - Date.parse(pod.metadata?.creationTimestamp ?? '')),
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

/** Ages within a factor of two are alike, so that the choice does not always fall on the same rollout's pods. */
function magnitude(ms: number): number {
  return Number.isFinite(ms) && ms > 0 ? Math.floor(Math.log2(ms)) : 0;
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (const [index, key] of a.entries()) {
    const difference = key - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
