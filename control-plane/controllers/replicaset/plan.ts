import type { Pod, ReplicaSetCondition, ReplicaSetStatus } from '#api/generated/objects.ts';
import { findCondition, withCondition, withoutCondition } from '#api/meta/condition.ts';
import { isActive } from '#api/pod/state.ts';
import type { OwnedPods, PodCounts } from '#control-plane/controllers/pods/owned-pods.ts';
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
  owned: OwnedPods,
  options: {
    /** Pods whose deletion was asked for, by uid: they count no more, whatever the cache says. */
    readonly deleted: ReadonlyMap<string, Pod>;
    /** The pods of all that are rolled out together with the owner, its own among them: whoever shares a node with many of them goes first. */
    readonly related?: () => readonly Pod[];
    readonly nowMs: number;
  },
): ReplicaPlan {
  if (wanted.isDeleting) return { createCount: 0, deletePods: [] };
  const { deleted, related = () => owned.list(), nowMs } = options;
  const active = owned.counts(nowMs).active - [...deleted.values()].filter(isActive).length;
  const missing = wanted.replicas - active;
  if (missing >= 0) return { createCount: Math.min(missing, burstMax), deletePods: [] };
  const left = owned.list().filter((pod) => isActive(pod) && !deleted.has(pod.metadata?.uid ?? ''));
  const ranked = rankForDeletion(left, related(), nowMs);
  return { createCount: 0, deletePods: ranked.slice(0, Math.min(-missing, burstMax)) };
}

/** The status that so many pods amount to. `failure`: why the last pass could not create or delete. */
export function computeReplicaStatus(
  owner: {
    readonly generation: number | undefined;
    readonly status: ReplicaSetStatus | undefined;
  },
  { active, labelled, ready, available, terminating }: PodCounts,
  options: {
    readonly failure: { readonly reason: string; readonly message: string } | undefined;
    readonly nowMs: number;
  },
): ReplicaSetStatus {
  const { conditions, ...before } = owner.status ?? { replicas: 0 };
  const counts = {
    replicas: active,
    fullyLabeledReplicas: labelled,
    readyReplicas: ready,
    availableReplicas: available,
  };
  const next = failureConditions(conditions, options);
  return {
    ...before,
    replicas: counts.replicas,
    ...omitZero(counts),
    // Told though it is zero: a pointer, which Go does not leave out.
    terminatingReplicas: terminating,
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

/**
 * Why it failed is said once, until it works again: the words have the name of the pod that was not made, and a status that is other each
 * time would have its owner looked at again at once, without any back-off (calculateStatus of upstream's replicaset).
 */
function failureConditions(
  conditions: readonly ReplicaSetCondition[] | undefined,
  { failure, nowMs }: Parameters<typeof computeReplicaStatus>[2],
): readonly ReplicaSetCondition[] {
  if (failure === undefined) return withoutCondition(conditions, 'ReplicaFailure');
  const isSaid = findCondition(conditions, 'ReplicaFailure') !== undefined;
  if (isSaid) return conditions ?? [];
  return withCondition(conditions, { type: 'ReplicaFailure', status: 'True', ...failure }, nowMs);
}
