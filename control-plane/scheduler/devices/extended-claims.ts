/** Claims that stand for extended resources of pods (KEP-5004): what they ask for depends on what a node has of device plugins. Pure. */
import {
  classableResources,
  extendedClaimAnnotation,
  extendedRequestsOf,
} from '#api/device/extended-resources.ts';
import type {
  ContainerExtendedResourceRequest,
  Node,
  Pod,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { controllerRef, ownerReference } from '#api/meta/owner.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { allocatableOf } from '#control-plane/scheduler/pod-facts.ts';
import type { DeviceLookUp } from './look-up.ts';

export const staleExtendedClaim = 'cannot schedule extended resource claim';

/** Resources of the pod that classes stand for. */
export function classedResources(pod: Pod, { classOf }: Pick<DeviceLookUp, 'classOf'>): readonly string[] {
  return classableResources(pod).filter((resource) => classOf(resource) !== undefined);
}

export interface ExtendedClaim {
  /** As it would be made; it has no name yet, but one that no other claim can have. */
  readonly claim: ResourceClaim;
  readonly mappings: readonly ContainerExtendedResourceRequest[];
}

/** What the pod would have by a claim on the node; undefined: nothing, as device plugins have it all. */
export function extendedClaimOn(
  pod: Pod,
  node: Node,
  look: Pick<DeviceLookUp, 'classOf'>,
): ExtendedClaim | undefined {
  const allocatable = allocatableOf(node);
  const resources = classedResources(pod, look).filter((name) => (allocatable.get(name) ?? 0) === 0);
  if (resources.length === 0) return undefined;
  const { requests, mappings } = extendedRequestsOf(pod, resources, look.classOf);
  const { name = '', namespace, uid = '' } = pod.metadata ?? {};
  const claim: ResourceClaim = {
    metadata: {
      name: `<extended-resources> ${uid}`,
      generateName: `${name}-extended-resources-`,
      namespace,
      uid: `of ${uid}`,
      annotations: { [extendedClaimAnnotation]: 'true' },
      ownerReferences: [{ ...ownerReference(pod, pods), controller: true }],
    },
    spec: { devices: { requests } },
  };
  return { claim, mappings };
}

/** The uid of the pod for whose extended resources a claim was made, if it was. */
export function podsOfExtendedClaim(claim: ResourceClaim): readonly string[] {
  if (claim.metadata?.annotations?.[extendedClaimAnnotation] !== 'true') return [];
  const owner = controllerRef(claim);
  return owner?.kind === 'Pod' ? [owner.uid] : [];
}
