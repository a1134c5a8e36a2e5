/** Whether a node is one that a pod may be on, by its labels and taints. Pure. */
import type { Node, Pod } from '#api/generated/objects.ts';
import { matchesNodeAffinity } from '#api/pod/node-affinity.ts';
import { findUntoleratedTaint } from '#api/pod/tolerations.ts';
import type { Refusal } from './refusal.ts';

/** Whether a pod says anything of the labels of its node. */
export function asksOfLabels({ spec }: Pod): boolean {
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required !== undefined || Object.keys(spec?.nodeSelector ?? {}).length > 0;
}

/**
 * In the kubelet's words (lifecycle.NewPredicateAdmitHandler). Taints that keep pods from being scheduled are the scheduler's:
 * who names the node need not heed them.
 */
export function placeRefusal(pod: Pod, node: Node): Refusal | undefined {
  if (!matchesNodeAffinity(pod, node)) {
    const why = "node(s) didn't match Pod's node affinity/selector";
    return { reason: 'NodeAffinity', message: `Predicate NodeAffinity failed: ${why}` };
  }
  return taintRefusal(pod, node);
}

export function taintRefusal(pod: Pod, node: Node): Refusal | undefined {
  const taint = findUntoleratedTaint(pod.spec?.tolerations, node.spec?.taints, ['NoExecute']);
  if (taint === undefined) return undefined;
  const why = "node(s) had taints that the pod didn't tolerate";
  return { reason: 'TaintToleration', message: `Predicate TaintToleration failed: ${why}` };
}
