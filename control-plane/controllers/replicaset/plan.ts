import type { Pod, ReplicaSetCondition, ReplicaSetStatus } from '#api/generated/objects.ts';
import { matchesLabels, labelSelectorFromMap } from '#api/meta/selector.ts';
import { withCondition, withoutCondition } from '#api/meta/condition.ts';
import { isActive, isPodAvailable, isPodReady } from '#api/pod/state.ts';
import { rankForDeletion } from '#control-plane/controllers/pods/rank-for-deletion.ts';

/** At most so many pods are created or deleted in one pass: the rest follows in the next. */
export const burstMax = 500;

export interface ReplicaPlan {
  readonly createCount: number;
  readonly deletePods: readonly Pod[];
}

/** How many pods to create, or which to delete, so that `replicas` are active. */
export function planReplicas(
  wanted: { readonly replicas: number; readonly isDeleting: boolean },
  pods: readonly Pod[],
  options: {
    /** Uids of pods whose deletion was asked for: they count no more, whatever the cache says. */
    readonly deletedUids: ReadonlySet<string>;
    readonly relatedPods: readonly Pod[];
    readonly nowMs: number;
  },
): ReplicaPlan {
  if (wanted.isDeleting) return { createCount: 0, deletePods: [] };
  const active = pods.filter((pod) => isActive(pod) && !options.deletedUids.has(pod.metadata?.uid ?? ''));
  const missing = wanted.replicas - active.length;
  if (missing >= 0) return { createCount: Math.min(missing, burstMax), deletePods: [] };
  const ranked = rankForDeletion(active, options.relatedPods, options.nowMs);
  return { createCount: 0, deletePods: ranked.slice(0, Math.min(-missing, burstMax)) };
}

/** The status that these pods amount to. `failure`: why the last pass could not create or delete. */
export function computeReplicaStatus(
  owner: {
    readonly generation: number | undefined;
    readonly minReadySeconds: number;
    readonly templateLabels: Readonly<Record<string, string>>;
    readonly status: ReplicaSetStatus | undefined;
  },
  pods: readonly Pod[],
  options: {
    readonly failure: { readonly reason: string; readonly message: string } | undefined;
    readonly nowMs: number;
  },
): ReplicaSetStatus {
  const active = pods.filter(isActive);
  const template = labelSelectorFromMap(owner.templateLabels);
  const { conditions, ...before } = owner.status ?? { replicas: 0 };
  const counts = {
    replicas: active.length,
    fullyLabeledReplicas: active.filter((pod) => matchesLabels(template, pod.metadata?.labels)).length,
    readyReplicas: active.filter(isPodReady).length,
    availableReplicas: active.filter((pod) => isPodAvailable(pod, owner.minReadySeconds, options.nowMs))
      .length,
  };
  const next = failureConditions(conditions, options);
  return {
    ...before,
    replicas: counts.replicas,
    ...omitZero(counts),
    observedGeneration: owner.generation,
    ...(next.length === 0 ? {} : { conditions: next }),
  };
}

/** Go leaves zero counts out, and so must a status that is compared with what the server holds. */
function omitZero(counts: Readonly<Record<string, number>>): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [
      name,
      count === 0 && name !== 'replicas' ? undefined : count,
    ]),
  );
}

function failureConditions(
  conditions: readonly ReplicaSetCondition[] | undefined,
  { failure, nowMs }: Parameters<typeof computeReplicaStatus>[2],
): readonly ReplicaSetCondition[] {
  if (failure === undefined) return withoutCondition(conditions, 'ReplicaFailure');
  return withCondition(conditions, { type: 'ReplicaFailure', status: 'True', ...failure }, nowMs);
}
