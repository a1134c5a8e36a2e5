import { apiVersionOf, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from './object.ts';
import type { OwnerReference } from '#api/generated/objects.ts';

/** The owner that controls the object, if it has one. */
export function controllerRef(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((owner) => owner.controller === true);
}

/** The reference that makes `owner` the controller of what carries it. */
export function ownerReference(owner: KubeObject, kind: KindRef<unknown>): OwnerReference {
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name: owner.metadata?.name ?? '',
    uid: owner.metadata?.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Whether the object is controlled by the owner with that uid. */
export function isControlledBy(object: KubeObject, ownerUid: string | undefined): boolean {
  return ownerUid !== undefined && controllerRef(object)?.uid === ownerUid;
}
