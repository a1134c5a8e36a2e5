import type {
  Pod,
  PodResourceClaim,
  ResourceClaimConsumerReference,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { isControlledBy } from '#api/meta/owner.ts';

/** What keeps an allocated claim until nobody uses it (resource/v1 Finalizer). */
export const claimFinalizer = 'resource.kubernetes.io/delete-protection';
/** On a claim that was made of a template: as which of its pod's claims. */
export const podClaimAnnotation = 'resource.kubernetes.io/pod-claim-name';
/** Users of one claim at once (resource/v1 ResourceClaimReservedForMaxSize). */
export const consumerCountMax = 256;

/** Which claim an entry of a pod's spec.resourceClaims stands for. */
export type NamedClaim =
  | { readonly kind: 'named'; readonly name: string; readonly isMade: boolean }
  /** Of a template: it is yet to be made. */
  | { readonly kind: 'awaited'; readonly message: string }
  /** Of a template that asks for none. */
  | { readonly kind: 'none' };

/** As k8s.io/dynamic-resource-allocation/resourceclaim Name. */
export function namedClaim(pod: Pod, { name, resourceClaimName }: PodResourceClaim): NamedClaim {
  if (resourceClaimName !== undefined) return { kind: 'named', name: resourceClaimName, isMade: false };
  const { extendedResourceClaimStatus: extended } = pod.status ?? {};
  if (name === extendedEntry && extended !== undefined)
    return { kind: 'named', name: extended.resourceClaimName, isMade: true };
  const made = pod.status?.resourceClaimStatuses?.find((status) => status.name === name);
  if (made === undefined) {
    const message = `pod "${pod.metadata?.namespace ?? ''}/${pod.metadata?.name ?? ''}": ResourceClaim not created yet`;
    return { kind: 'awaited', message };
  }
  const { resourceClaimName: found } = made;
  return found === undefined ? { kind: 'none' } : { kind: 'named', name: found, isMade: true };
}

/** Whether a claim of the pod is yet to be made of its template: nobody need look for a node before. */
export function awaitsDeviceClaims(pod: Pod): boolean {
  return (pod.spec?.resourceClaims ?? []).some((entry) => namedClaim(pod, entry).kind === 'awaited');
}

/** The entry that stands for the claim of a pod's extended resources (KEP-5004); no entry of a pod can have the name. */
export const extendedEntry = '<extended-resources>';

/** Entries of the pod's spec.resourceClaims, and of the claim that the scheduler made for its extended resources. */
export function claimEntriesOf({ spec, status }: Pod): readonly PodResourceClaim[] {
  const { resourceClaimName } = status?.extendedResourceClaimStatus ?? {};
  const own = spec?.resourceClaims ?? [];
  return resourceClaimName === undefined ? own : [...own, { name: extendedEntry }];
}

/** The claims that a pod uses as far as they have names, as `namespace/name`. */
export function podClaimKeys(pod: Pod): readonly string[] {
  return claimEntriesOf(pod).flatMap((entry) => {
    const claim = namedClaim(pod, entry);
    return claim.kind === 'named' ? [`${pod.metadata?.namespace ?? ''}/${claim.name}`] : [];
  });
}

/** Why a claim of a template may not be this pod's (resourceclaim IsForPod); undefined: it may. */
export function foreignDeviceClaim(pod: Pod, claim: ResourceClaim): string | undefined {
  if (isControlledBy(claim, pod.metadata?.uid)) return undefined;
  const nameOf = ({ metadata }: Pod | ResourceClaim): string =>
    `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
  return `ResourceClaim ${nameOf(claim)} was not created for pod ${nameOf(pod)} (pod is not owner)`;
}

export function isReservedFor(claim: ResourceClaim, pod: Pod): boolean {
  return claim.status?.reservedFor?.some(({ uid }) => uid === pod.metadata?.uid) === true;
}

/** Whether one more pod may use it. */
export function canBeReserved(claim: ResourceClaim): boolean {
  return (claim.status?.reservedFor ?? []).length < consumerCountMax;
}

export function consumerOf({ metadata }: Pod): ResourceClaimConsumerReference {
  return { resource: 'pods', name: metadata?.name ?? '', uid: metadata?.uid ?? '' };
}
