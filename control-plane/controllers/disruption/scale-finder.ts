import {
  deployments,
  replicaSets,
  replicationControllers,
  statefulSets,
  type KindRef,
} from '#api/schema/kind-ref.ts';
import { findKindByName, findSubresource } from '#api/schema/kinds.ts';
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
import type { BudgetState, ControllerScale } from './plan.ts';

export interface ScaleCaches {
  readonly deployments: Informer<Deployment>;
  readonly replicaSets: Informer<ReplicaSet>;
  readonly statefulSets: Informer<StatefulSet>;
  readonly replicationControllers: Informer<ReplicationController>;
}

interface Scaled extends KubeObject {
  readonly spec?: { readonly replicas?: number | undefined } | undefined;
}

/** Finds the scale of a pod's controller in the caches; that of a Deployment for a ReplicaSet of one. */
export function createScaleFinder(caches: ScaleCaches): BudgetState['scaleOf'] {
  const kinds: readonly (readonly [KindRef<unknown>, Informer<Scaled>])[] = [
    [deployments, caches.deployments],
    [replicaSets, caches.replicaSets],
    [statefulSets, caches.statefulSets],
    [replicationControllers, caches.replicationControllers],
  ];
  const find = (owner: OwnerReference, namespace = ''): ControllerScale | string | undefined => {
    const cache = kinds.find(([kind]) => isKindOf(kind, owner))?.[1];
    if (cache === undefined) return unscaled(owner);
    const found = cache.get(`${namespace}/${owner.name}`);
    if (found === undefined || found.metadata?.uid !== owner.uid) return undefined;
    const parent = controllerRef(found);
    if (parent !== undefined && isKindOf(deployments, parent)) return find(parent, namespace);
    return { uid: owner.uid, replicas: found.spec?.replicas ?? 1 };
  };
  return find;
}

function unscaled({ apiVersion, kind }: OwnerReference): string | undefined {
  const known = findKindByName(apiVersion, kind);
  if (known === undefined)
    return `no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`;
  const resource = known.group === '' ? known.resource : `${known.resource}.${known.group}`;
  return findSubresource(known, 'scale') === undefined
    ? `${resource} does not implement the scale subresource`
    : undefined;
}
