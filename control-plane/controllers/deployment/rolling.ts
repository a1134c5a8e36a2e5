import type { Deployment, ReplicaSet } from '#api/generated/objects.ts';
import { byCreation, desiredReplicasAnnotation, maxReplicasAnnotation } from './revision.ts';

/** How many pods more and fewer than wanted a rolling update may have. */
export interface Fenceposts {
  readonly surge: number;
  readonly unavailable: number;
}

/** A ReplicaSet and the number of replicas that it is to have. */
export interface Scale {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
}

/** Percentages of the replicas: surge is rounded up, unavailable down; both zero would never move, so one may be unavailable. */
export function fencepostsOf(deployment: Deployment): Fenceposts {
  const { replicas = 1, strategy } = deployment.spec ?? {};
  if (strategy?.type === 'Recreate') return { surge: 0, unavailable: replicas };
  const { maxSurge = '25%', maxUnavailable = '25%' } = strategy?.rollingUpdate ?? {};
  const surge = intOrPercent(maxSurge, replicas, Math.ceil);
  const unavailable = Math.min(replicas, intOrPercent(maxUnavailable, replicas, Math.floor));
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

/** A number, or a percentage of `total`. */
export function intOrPercent(value: number | string, total: number, round: (n: number) => number): number {
  if (typeof value === 'number') return value;
  const percent = Number(value.replace(/%$/, ''));
  return Number.isFinite(percent) ? round((percent * total) / 100) : 0;
}

/** How many replicas the new ReplicaSet may have now: as many as wanted, within the surge of what is to be there and of what still is. */
export function newReplicas(deployment: Deployment, all: readonly ReplicaSet[], current: number): number {
  const { replicas = 1 } = deployment.spec ?? {};
  if (deployment.spec?.strategy?.type === 'Recreate') return replicas;
  if (current > replicas) return replicas;
  const room = replicas + fencepostsOf(deployment).surge - sumPresent(all);
  return room <= 0 ? current : current + Math.min(room, replicas - current);
}

/**
 * Which old ReplicaSets to scale down: first those replicas that are not available anyway, then as many available ones as
 * leave the minimum. Empty when the new ReplicaSet is not yet far enough.
 */
export function planScaleDown(
  deployment: Deployment,
  newReplicaSet: ReplicaSet,
  oldReplicaSets: readonly ReplicaSet[],
): readonly Scale[] {
  const { replicas = 1 } = deployment.spec ?? {};
  const all = [...oldReplicaSets, newReplicaSet];
  const minAvailable = replicas - fencepostsOf(deployment).unavailable;
  const newUnavailable = replicasOf(newReplicaSet) - availableOf(newReplicaSet);
  const downMax = sumReplicas(all) - minAvailable - newUnavailable;
  if (downMax <= 0) return [];
  const active = oldReplicaSets.filter((one) => replicasOf(one) > 0).toSorted(byCreation);
  const unhealthy = new Map<ReplicaSet, number>();
  let left = downMax;
  for (const one of active) {
    const down = Math.min(left, Math.max(0, replicasOf(one) - availableOf(one)));
    unhealthy.set(one, down);
    left -= down;
  }
  // A ReplicaSet that was scaled down a moment ago may still tell of pods that go.
  let spare = Math.min(left, all.reduce((sum, one) => sum + availableOf(one), 0) - minAvailable);
  return active.flatMap((replicaSet) => {
    const withoutUnhealthy = replicasOf(replicaSet) - (unhealthy.get(replicaSet) ?? 0);
    const down = Math.max(0, Math.min(withoutUnhealthy, spare));
    spare -= down;
    const next = withoutUnhealthy - down;
    return next === replicasOf(replicaSet) ? [] : [{ replicaSet, replicas: next }];
  });
}

/** Whether somebody changed the Deployment's replicas since its ReplicaSets were scaled. */
export function isScaling(deployment: Deployment, all: readonly ReplicaSet[]): boolean {
  return all.some((one) => {
    const desired = one.metadata?.annotations?.[desiredReplicasAnnotation];
    return (
      replicasOf(one) > 0 && desired !== undefined && Number(desired) !== (deployment.spec?.replicas ?? 1)
    );
  });
}

/**
 * What a change of replicas makes of the ReplicaSets: of the only one that has any, or else of the present template's, whatever is older
 * or younger, as many as are wanted; none of old ones that the new one needs no more; of a rollout under way, or stuck, or paused, a share each.
 */
export function planScale(
  deployment: Deployment,
  newReplicaSet: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
): readonly Scale[] {
  const { replicas = 1, strategy } = deployment.spec ?? {};
  const all = newReplicaSet === undefined ? old : [...old, newReplicaSet];
  const active = all.filter((one) => replicasOf(one) > 0);
  const [only] = active.length === 0 ? [newReplicaSet ?? old.toSorted(byCreation).at(-1)] : active;
  if (only === undefined) return [];
  if (active.length <= 1) return [{ replicaSet: only, replicas }];
  if (newReplicaSet !== undefined && isSaturated(deployment, newReplicaSet))
    return active.filter((one) => one !== newReplicaSet).map((replicaSet) => ({ replicaSet, replicas: 0 }));
  return strategy?.type === 'Recreate' ? [] : shareOut(deployment, active);
}

/** Whether it was given all replicas, and has them. */
function isSaturated({ spec }: Deployment, replicaSet: ReplicaSet): boolean {
  const desired = Number(replicaSet.metadata?.annotations?.[desiredReplicasAnnotation]);
  const replicas = spec?.replicas ?? 1;
  return [desired, replicasOf(replicaSet), availableOf(replicaSet)].every((count) => count === replicas);
}

/** The change in proportion to their sizes. The largest gets the rest. */
function shareOut(deployment: Deployment, active: readonly ReplicaSet[]): readonly Scale[] {
  const { replicas = 1 } = deployment.spec ?? {};
  const { surge } = fencepostsOf(deployment);
  const allowed = replicas > 0 ? replicas + surge : 0;
  const total = sumReplicas(active);
  let left = allowed - total;
  const bySize = active.toSorted(
    (a, b) => replicasOf(b) - replicasOf(a) || (left > 0 ? byCreation(b, a) : byCreation(a, b)),
  );
  const scales = bySize.map((replicaSet) => {
    const share = left === 0 ? 0 : shareOf(deployment, replicaSet, allowed);
    const part = left > 0 ? Math.min(share, left) : Math.max(share, left);
    left -= part;
    return { replicaSet, replicas: replicasOf(replicaSet) + part };
  });
  return scales.map((scale, index) =>
    index === 0 ? { ...scale, replicas: Math.max(0, scale.replicas + left) } : scale,
  );
}

/** How much the ReplicaSet changes, so that it keeps its share of the maximum that it was part of when it was last scaled. */
function shareOf({ status }: Deployment, replicaSet: ReplicaSet, allowed: number): number {
  const current = replicasOf(replicaSet);
  if (allowed === 0) return -current;
  const annotated = Number(replicaSet.metadata?.annotations?.[maxReplicasAnnotation] ?? 0) || 0;
  const before = annotated > 0 ? annotated : (status?.replicas ?? 0);
  return before === 0 ? 0 : Math.round((current * allowed) / before) - current;
}

export function replicasOf(replicaSet: ReplicaSet): number {
  return replicaSet.spec?.replicas ?? 1;
}

export function availableOf(replicaSet: ReplicaSet): number {
  return replicaSet.status?.availableReplicas ?? 0;
}

export function sumReplicas(replicaSets: readonly ReplicaSet[]): number {
  return replicaSets.reduce((sum, one) => sum + replicasOf(one), 0);
}

/** Of ReplicaSets that were scaled down a moment ago, whose pods have not all begun to go, as many as they tell of. */
function sumPresent(replicaSets: readonly ReplicaSet[]): number {
  return replicaSets.reduce((sum, one) => sum + Math.max(replicasOf(one), one.status?.replicas ?? 0), 0);
}
