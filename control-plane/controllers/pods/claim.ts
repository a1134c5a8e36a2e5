import { matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import { apiVersionOf, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isConflict, isInvalid, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import { orphansFor } from './by-controller.ts';
import { controllerRef, ownerReference } from '#api/meta/owner.ts';

export interface ClaimPlan<T> {
  /** Controlled by the owner and selected. */
  readonly owned: readonly T[];
  /** Selected, and controlled by nobody. */
  readonly adopt: readonly T[];
  /** Controlled by the owner, but no longer selected. */
  readonly release: readonly T[];
}

/** Who of the candidates belongs to the owner. An owner or object that is being deleted adopts and is adopted no more. */
export function planClaim<T extends KubeObject>(
  owner: KubeObject,
  selector: LabelMatcher,
  candidates: readonly T[],
  isMember: (owner: KubeObject, object: T) => boolean = () => true,
): ClaimPlan<T> {
  const isDeleting = owner.metadata?.deletionTimestamp !== undefined;
  const owned: T[] = [];
  const adopt: T[] = [];
  const release: T[] = [];
  for (const object of candidates) {
    const controller = controllerRef(object);
    const isSelected = matchesLabels(selector, object.metadata?.labels) && isMember(owner, object);
    const isGoing = object.metadata?.deletionTimestamp !== undefined;
    if (controller?.uid === owner.metadata?.uid) {
      if (isSelected || isDeleting || isGoing) owned.push(object);
      else release.push(object);
    } else if (controller === undefined && isSelected && !isDeleting && !isGoing) adopt.push(object);
  }
  return { owned, adopt, release };
}

export interface Claimer<O, T> {
  readonly client: ApiClient;
  readonly ownerKind: KindRef<O>;
  readonly kind: KindRef<T>;
  /** With the index `controller` (`byController`). */
  readonly informer: WritableInformer<T>;
  /** Given to what is adopted, and taken from what is let go: the owner sees that they do not go uncounted. */
  readonly finalizer?: string;
  /** What an object must be besides selected; anything when it is left out. */
  readonly isMember?: (owner: KubeObject, object: T) => boolean;
}

/** The objects of the owner, after adopting and releasing as the plan says. */
export async function claim<O extends KubeObject, T extends KubeObject>(
  claimer: Claimer<O, T>,
  owner: O,
  selector: LabelMatcher,
): Promise<readonly T[]> {
  const { informer } = claimer;
  const candidates = [
    ...informer.byIndex('controller', owner.metadata?.uid ?? ''),
    ...orphansOf(informer, owner, selector),
  ];
  const plan = planClaim(owner, selector, candidates, claimer.isMember);
  return [...plan.owned, ...(await settleClaims(claimer, owner, plan))];
}

/** Objects that nobody controls and that the owner may select. */
export function orphansOf<T extends KubeObject>(
  informer: WritableInformer<T>,
  { metadata }: KubeObject,
  selector: LabelMatcher,
): readonly T[] {
  return informer.byIndex('controller', orphansFor(metadata?.namespace, selector));
}

/** Lets go and adopts. @returns what was adopted */
export async function settleClaims<O extends KubeObject, T extends KubeObject>(
  claimer: Claimer<O, T>,
  owner: O,
  plan: Pick<ClaimPlan<T>, 'adopt' | 'release'>,
): Promise<readonly T[]> {
  const { client, ownerKind } = claimer;
  const { namespace, name = '', uid = '' } = owner.metadata ?? {};
  for (const object of plan.release) await patchOwners(claimer, object, releaseBody(claimer, object, uid));
  if (plan.adopt.length === 0) return [];
  // The cache may not know yet that the owner is going: adopting for it would have the objects deleted.
  const fresh = await client.get(ownerKind, { namespace, name });
  if (fresh.metadata?.uid !== uid || fresh.metadata.deletionTimestamp !== undefined) return [];
  const adopted: T[] = [];
  for (const object of plan.adopt) {
    const done = await patchOwners(claimer, object, adoptBody(claimer, object, owner));
    if (done !== undefined) adopted.push(done);
  }
  return adopted;
}

type Membership = Pick<NonNullable<KubeObject['metadata']>, 'ownerReferences' | 'finalizers'>;
type MembershipPatch = { readonly [Key in keyof Membership]: Membership[Key] | null };

export function releaseBody(
  { finalizer }: { readonly finalizer?: string | undefined },
  { metadata: { ownerReferences = [], finalizers = [] } = {} }: KubeObject,
  uid: string,
): MembershipPatch {
  const owners = ownerReferences.filter((reference) => reference.uid !== uid);
  const body = { ownerReferences: owners.length === 0 ? null : owners };
  if (finalizer === undefined || !finalizers.includes(finalizer)) return body;
  const kept = finalizers.filter((one) => one !== finalizer);
  return { ...body, finalizers: kept.length === 0 ? null : kept };
}

export function adoptBody(
  { finalizer, ownerKind }: Pick<Claimer<unknown, unknown>, 'finalizer' | 'ownerKind'>,
  { metadata: { ownerReferences = [], finalizers = [] } = {} }: KubeObject,
  owner: KubeObject,
): MembershipPatch {
  const body = { ownerReferences: [...ownerReferences, ownerReference(owner, ownerKind)] };
  if (finalizer === undefined || finalizers.includes(finalizer)) return body;
  return { ...body, finalizers: [...finalizers, finalizer] };
}

/** Undefined when the object went, or was taken by another, meanwhile. */
async function patchOwners<T extends KubeObject>(
  { client, kind, informer }: Pick<Claimer<unknown, T>, 'client' | 'kind' | 'informer'>,
  object: T,
  membership: MembershipPatch,
): Promise<T | undefined> {
  const { namespace, name = '', uid, resourceVersion } = object.metadata ?? {};
  // A merge patch replaces whole lists, so it holds only for the version that they were read at.
  const body = { metadata: { uid, resourceVersion, ...membership } };
  try {
    const patched = await client.patch(kind, { namespace, name }, { kind: 'merge', body });
    informer.observe(patched);
    return patched;
  } catch (error) {
    if (isNotFound(error) || isConflict(error) || isInvalid(error)) return undefined;
    throw error;
  }
}

/** `apps/v1 ReplicaSet`: how a reference names a kind. */
export function isKindOf(
  kind: KindRef<unknown>,
  reference: { readonly apiVersion: string; readonly kind: string },
): boolean {
  return reference.kind === kind.kind && reference.apiVersion === apiVersionOf(kind);
}
