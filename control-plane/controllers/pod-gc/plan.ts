import type { Pod } from '#api/generated/objects.ts';
import { isTerminal, isTerminating } from '#api/pod/state.ts';

/** As kube-controller-manager's terminated-pod-gc-threshold. */
export const finishedMax = 12_500;

export interface PodGcPlan {
  /** Nobody will ever report about these again: they are marked failed first. */
  readonly orphaned: readonly Pod[];
  /** Deletion was asked for before they had a node. */
  readonly unscheduled: readonly Pod[];
  /** Deletion was asked for, and their node is off for good, as somebody says by its taint. */
  readonly stranded: readonly Pod[];
  readonly finished: readonly Pod[];
}

export interface NodeStates {
  readonly isGone: (nodeName: string) => boolean;
  /** Not ready, and out of service (node.kubernetes.io/out-of-service). */
  readonly isOff: (nodeName: string) => boolean;
}

/** Pods to remove: of nodes that are gone for good, terminating without a node, and of the finished ones beyond the limit those that were evicted, then the oldest. */
export function planPodGc(
  pods: readonly Pod[],
  { isGone: isNodeGone, isOff }: NodeStates,
  finishedLimit: number = finishedMax,
): PodGcPlan {
  const isLeft = (pod: Pod): boolean => !isHeldByFinalizers(pod);
  const orphaned = pods.filter(
    ({ spec }) => (spec?.nodeName ?? '') !== '' && isNodeGone(spec?.nodeName ?? ''),
  );
  const unscheduled = pods.filter((pod) => isTerminating(pod) && (pod.spec?.nodeName ?? '') === '');
  const stranded = pods.filter(
    (pod) => isTerminating(pod) && isOff(pod.spec?.nodeName ?? '') && !orphaned.includes(pod),
  );
  const others = new Set([...orphaned, ...unscheduled, ...stranded]);
  const finished = pods
    .filter((pod) => isTerminal(pod) && !others.has(pod))
    .toSorted((a, b) => (finishedRank(a) < finishedRank(b) ? -1 : 1));
  const surplus = Math.max(0, finished.length - finishedLimit);
  return {
    orphaned: orphaned.filter(isLeft),
    unscheduled: unscheduled.filter(isLeft),
    stranded: stranded.filter(isLeft),
    finished: finished.filter(isLeft).slice(0, surplus),
  };
}

/** It ended, and was deleted at once: whoever deletes it again does nothing, it waits for whose finalizers it has. */
function isHeldByFinalizers(pod: Pod): boolean {
  const { deletionGracePeriodSeconds, finalizers = [] } = pod.metadata ?? {};
  return isTerminal(pod) && isTerminating(pod) && deletionGracePeriodSeconds === 0 && finalizers.length > 0;
}

function finishedRank({ metadata, status }: Pod): string {
  const isEvicted = status?.phase === 'Failed' && status.reason === 'Evicted';
  return `${isEvicted ? 0 : 1} ${metadata?.creationTimestamp ?? ''} ${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}
