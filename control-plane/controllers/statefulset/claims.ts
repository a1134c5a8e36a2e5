import { equalJson } from '#api/wire/json.ts';
import { pods, statefulSets } from '#api/schema/kind-ref.ts';
import type { OwnerReference, PersistentVolumeClaim, Pod, StatefulSet } from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { isTerminating } from '#api/pod/state.ts';
import { ordinalOf, ordinalsOf } from './plan.ts';
import { statefulClaims } from './stateful-pod.ts';

export type ClaimAction =
  | { readonly kind: 'createClaim'; readonly claim: PersistentVolumeClaim }
  | {
      readonly kind: 'setOwners';
      readonly claim: PersistentVolumeClaim;
      readonly owners: readonly OwnerReference[];
    };

type FindClaim = (name: string) => PersistentVolumeClaim | undefined;

/**
 * What the claims of the pods need: those that a waiting pod lacks, and the owners that their retention policy asks for
 * (apps/v1 StatefulSetPersistentVolumeClaimRetentionPolicy). Who owns a claim takes it along when it goes; so this comes
 * before any pod is deleted.
 */
export function planClaims(
  statefulSet: StatefulSet,
  ownedPods: readonly Pod[],
  find: FindClaim,
): readonly ClaimAction[] {
  const wanted = new Set(ordinalsOf(statefulSet));
  return ownedPods.flatMap((pod) => {
    const isSurplus = !wanted.has(ordinalOf(pod));
    return statefulClaims(statefulSet, ordinalOf(pod)).flatMap((template): readonly ClaimAction[] => {
      const claim = find(template.metadata?.name ?? '');
      if (claim === undefined) {
        const isNeeded = !isSurplus && pod.status?.phase === 'Pending' && !isTerminating(pod);
        return isNeeded ? [{ kind: 'createClaim', claim: template }] : [];
      }
      const owners = claimOwners(statefulSet, claim, { pod, isSurplus });
      const isSame = equalJson(owners, claim.metadata?.ownerReferences ?? []);
      return isSame || isGoing(claim) ? [] : [{ kind: 'setOwners', claim, owners }];
    });
  });
}

/** Claims for the pod of an ordinal that has none; undefined while one of the pod before has still to go. */
export function claimsForNewPod(
  statefulSet: StatefulSet,
  ordinal: number,
  find: FindClaim,
): readonly PersistentVolumeClaim[] | undefined {
  const templates = statefulClaims(statefulSet, ordinal);
  const name = `${statefulSet.metadata?.name ?? ''}-${ordinal}`;
  const found = templates.map((template) => find(template.metadata?.name ?? ''));
  if (
    found.some((claim) => claim !== undefined && (isGoing(claim) || ownersOf(claim).some(isPodNamed(name))))
  ) {
    return undefined;
  }
  const isKept = retention(statefulSet).whenDeleted !== 'Delete';
  const ownerReferences = isKept ? undefined : [ownerReference(statefulSet, statefulSets)];
  return templates
    .filter((_template, index) => found[index] === undefined)
    .map((claim) => ({ ...claim, metadata: { ...claim.metadata, ownerReferences } }));
}

function claimOwners(
  statefulSet: StatefulSet,
  claim: PersistentVolumeClaim,
  { pod, isSurplus }: { readonly pod: Pod; readonly isSurplus: boolean },
): readonly OwnerReference[] {
  const { whenDeleted, whenScaled } = retention(statefulSet);
  const references = [ownerReference(statefulSet, statefulSets), ownerReference(pod, pods)];
  const ours = (owner: OwnerReference): OwnerReference | undefined =>
    references.find((one) => isOfName(owner, one));
  // It goes, or stays, with a set or a pod of before that had the name.
  if (ownersOf(claim).some((owner) => (ours(owner) ?? owner).uid !== owner.uid)) return ownersOf(claim);
  const others = ownersOf(claim).filter((owner) => ours(owner) === undefined);
  // Somebody else has taken charge of it, alone.
  if (others.some(({ controller }) => controller === true)) return others;
  if (isSurplus && whenScaled === 'Delete') return [...others, ownerReference(pod, pods)];
  return whenDeleted === 'Delete' ? [...others, ownerReference(statefulSet, statefulSets)] : others;
}

function retention({ spec }: StatefulSet) {
  return spec?.persistentVolumeClaimRetentionPolicy ?? {};
}

function ownersOf({ metadata }: PersistentVolumeClaim): readonly OwnerReference[] {
  return metadata?.ownerReferences ?? [];
}

function isOfName(a: OwnerReference, b: OwnerReference): boolean {
  return a.apiVersion === b.apiVersion && a.kind === b.kind && a.name === b.name;
}

function isPodNamed(name: string): (owner: OwnerReference) => boolean {
  return (owner) => owner.kind === pods.kind && owner.apiVersion === 'v1' && owner.name === name;
}

function isGoing({ metadata }: PersistentVolumeClaim): boolean {
  return metadata?.deletionTimestamp !== undefined;
}
