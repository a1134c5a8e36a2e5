import {
  deployments,
  replicaSets,
  replicationControllers,
  statefulSets,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type {
  Deployment,
  OwnerReference,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type { Informer } from '#client/client.ts';
import { isKindOf } from '#control-plane/controllers/pods/claim.ts';
import type { AskedScales, BudgetState, FoundScale } from './plan.ts';

export interface ScaleCaches {
  readonly deployments: Informer<Deployment>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly statefulSets: Informer<StatefulSet>;
  readonly replicationControllers: Informer<ReplicationController>;
}

interface Scaled extends KubeObject {
  readonly spec?: { readonly replicas?: number | undefined } | undefined;
}

/** Whether the scale of an owner of pods is looked up in caches; others are asked for. */
export function isCached(owner: OwnerReference): boolean {
  return [deployments, replicaSets, statefulSets, replicationControllers].some((kind) =>
    isKindOf(kind, owner),
  );
}

/** Finds the scale of a pod's controller in the caches, or among what was asked; that of a Deployment for a ReplicaSet of one. */
export function createScaleFinder(
  caches: { readonly [K in keyof ScaleCaches]: Pick<ScaleCaches[K], 'get'> },
  asked: AskedScales,
): BudgetState['scaleOf'] {
  const kinds: readonly (readonly [KindRef<unknown>, Pick<Informer<Scaled>, 'get'>])[] = [
    [deployments, caches.deployments],
    [replicaSets, caches.replicaSets],
    [statefulSets, caches.statefulSets],
    [replicationControllers, caches.replicationControllers],
  ];
  const find = (owner: OwnerReference, namespace = ''): FoundScale => {
    const cache = kinds.find(([kind]) => isKindOf(kind, owner))?.[1];
    if (cache === undefined) return asked.get(owner.uid);
    const found = cache.get(`${namespace}/${owner.name}`);
    if (found === undefined || found.metadata?.uid !== owner.uid) return undefined;
    const parent = controllerRef(found);
    const scale = parent !== undefined && isKindOf(deployments, parent) ? find(parent, namespace) : undefined;
    // A ReplicaSet that its Deployment leaves behind has a scale of its own.
    return scale ?? { uid: owner.uid, replicas: found.spec?.replicas ?? 1 };
  };
  return find;
}
