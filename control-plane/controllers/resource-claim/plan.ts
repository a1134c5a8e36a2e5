import {
  canBeReserved,
  claimFinalizer,
  consumerOf,
  isReservedFor,
  podClaimAnnotation,
} from '#api/device/pod-claims.ts';
import type {
  Pod,
  PodResourceClaim,
  PodResourceClaimStatus,
  ResourceClaimConsumerReference,
  ResourceClaimTemplate,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { controllerRef, ownerReference } from '#api/meta/owner.ts';
import { isTerminal } from '#api/pod/state.ts';
import { pods } from '#api/schema/kind-ref.ts';

/** Characters of what comes before the five random ones of a name and their hyphen. */
const baseLengthMax = 57;

/** The claim that a template makes for an entry of a pod, without a name of its own. Pure. */
export function claimOfTemplate(
  pod: Pod,
  { name }: PodResourceClaim,
  { spec: { metadata = {}, spec } }: ResourceClaimTemplate,
): ResourceClaim {
  return {
    metadata: {
      generateName: generateNameOf(pod.metadata?.name ?? '', name),
      namespace: pod.metadata?.namespace,
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      annotations: { ...metadata.annotations, [podClaimAnnotation]: name },
      ownerReferences: [ownerReference(pod, pods)],
    },
    spec,
  };
}

/** Both names are cut in proportion where they are too long together, so that something of each is left. */
function generateNameOf(pod: string, entry: string): string {
  const whole = `${pod}-${entry}-`;
  if (whole.length <= baseLengthMax) return whole;
  const cut = (text: string): string =>
    text.slice(0, Math.floor((text.length * baseLengthMax) / whole.length));
  return `${cut(pod)}-${cut(entry)}`;
}

/** Whether claims are made for the pod: neither of one that goes, nor of one that is over. */
export function wantsClaims(pod: Pod): boolean {
  return pod.metadata?.deletionTimestamp === undefined && !isTerminal(pod);
}

/** The claim that was made for an entry of a pod; with several, the first. */
export function madeClaim(
  { name }: PodResourceClaim,
  owned: readonly ResourceClaim[],
): ResourceClaim | undefined {
  return owned.find(({ metadata }) => metadata?.annotations?.[podClaimAnnotation] === name);
}

/** What a pod's status says of its claims, once those of templates are made. */
export function claimStatuses(
  pod: Pod,
  made: ReadonlyMap<string, ResourceClaim>,
): readonly PodResourceClaimStatus[] {
  return (pod.spec?.resourceClaims ?? []).flatMap(({ name }) => {
    const claim = made.get(name);
    return claim === undefined ? [] : [{ name, resourceClaimName: claim.metadata?.name ?? '' }];
  });
}

/** Of a pod that came to its node without the scheduler: the claims that have devices, and not yet this pod as their user. */
export function claimsToReserve(pod: Pod, claims: readonly ResourceClaim[]): readonly ResourceClaim[] {
  if ((pod.spec?.nodeName ?? '') === '') return [];
  return claims
    .filter((claim) => claim.status?.allocation !== undefined && !isReservedFor(claim, pod))
    .filter(canBeReserved)
    .map((claim) => {
      const reservedFor = [...(claim.status?.reservedFor ?? []), consumerOf(pod)];
      return { ...claim, status: { ...claim.status, reservedFor } };
    });
}

/** Whether it is certain that no container of the pod runs or will run. */
export function isPodDone(pod: Pod): boolean {
  const isUnplaced = (pod.spec?.nodeName ?? '') === '';
  return isTerminal(pod) || (pod.metadata?.deletionTimestamp !== undefined && isUnplaced);
}

/** What is due for a claim. */
export type ClaimStep =
  /** Users that are gone are taken out; with the last one the devices are given back. */
  | { readonly kind: 'writeStatus'; readonly claim: ResourceClaim }
  /** Of a claim without devices. */
  | { readonly kind: 'removeFinalizer'; readonly claim: ResourceClaim }
  /** It was made for a pod that needs it no more. */
  | { readonly kind: 'delete' };

/**
 * The steps of a claim, by whether each user still counts (resourceclaim controller of kube-controller-manager). Pure. `owner`: the pod of
 * the name that it was made for, as far as that is known. What is only just reserved, or never was, keeps its devices: they go with the last
 * user, or with the claim.
 */
export function planClaim(
  claim: ResourceClaim,
  isUser: (consumer: ResourceClaimConsumerReference) => boolean,
  owner: Pod | undefined,
): readonly ClaimStep[] {
  const { metadata, status = {} } = claim;
  const before = status.reservedFor ?? [];
  const users = before.filter(isUser);
  const isKept = metadata?.finalizers?.includes(claimFinalizer) === true;
  const isGoing = metadata?.deletionTimestamp !== undefined;
  const isLeft = users.length < before.length;
  const isUnused = users.length === 0;
  const steps: ClaimStep[] = [];
  let current = claim;
  const isFreed = isKept && isUnused && (isLeft || isGoing);
  if (isLeft || (isFreed && status.allocation !== undefined)) {
    const { allocation: _allocation, devices: _devices, reservedFor: _reservedFor, ...rest } = status;
    current = { ...claim, status: isFreed ? rest : { ...status, reservedFor: users } };
    steps.push({ kind: 'writeStatus', claim: current });
  }
  if (isFreed) {
    const finalizers = metadata?.finalizers?.filter((one) => one !== claimFinalizer);
    current = { ...current, metadata: { ...current.metadata, finalizers } };
    steps.push({ kind: 'removeFinalizer', claim: current });
  }
  if (isUnused && !isGoing && isOrphan(claim, owner)) steps.push({ kind: 'delete' });
  return steps;
}

/** Its pod was replaced, or does not run any more. Of one that is not known the garbage collector knows better. */
function isOrphan(claim: ResourceClaim, owner: Pod | undefined): boolean {
  const of = controllerRef(claim);
  return of?.kind === 'Pod' && owner !== undefined && (owner.metadata?.uid !== of.uid || isPodDone(owner));
}
