import type { KubeObject } from '#api/meta/object.ts';
import type { OwnerReference } from '#api/generated/objects.ts';

export const foregroundFinalizer = 'foregroundDeletion';
export const orphanFinalizer = 'orphan';

/** What is known of an owner that a reference names. */
export type OwnerState =
  | 'present'
  | 'absent' // gone, or another object of the name
  | 'waiting' // being deleted, and waits for its dependents to go first
  | 'unknown'; // of a kind that the server does not (now) have: nothing is decided on it

export interface GarbageInput {
  readonly object: KubeObject;
  /** One for each of its owner references. */
  readonly owners: readonly { readonly reference: OwnerReference; readonly state: OwnerState }[];
  /** They are gone through only as far as it takes to decide. */
  readonly dependents: () => Iterable<KubeObject>;
}

export type GarbageAction =
  | { readonly kind: 'none' }
  /** Dependents live on without this owner; then the finalizer goes. */
  | { readonly kind: 'orphanDependents' }
  /** It waits until its dependents, each looked at by itself, have gone or no longer hold it. */
  | { readonly kind: 'awaitDependents' }
  /** No dependent holds it any more: the finalizer goes. */
  | { readonly kind: 'release' }
  /** Owners that are gone are taken from the references. */
  | { readonly kind: 'dropOwners'; readonly uids: ReadonlySet<string> }
  | {
      readonly kind: 'delete';
      readonly propagationPolicy: 'Background' | 'Foreground' | 'Orphan';
      /** It would wait for a dependent that waits as well, perhaps for it: first it stops holding its owners. */
      readonly unblocksOwners?: true;
    };

/** What is to be done with an object, for its owners and its dependents as they are. */
export function planGarbage({ object, owners, dependents }: GarbageInput): GarbageAction {
  const { uid = '', deletionTimestamp, finalizers = [] } = object.metadata ?? {};
  if (deletionTimestamp !== undefined) {
    if (finalizers.includes(orphanFinalizer)) return { kind: 'orphanDependents' };
    if (!finalizers.includes(foregroundFinalizer)) return { kind: 'none' };
    const isBlocking = ({ metadata }: KubeObject): boolean =>
      metadata?.ownerReferences?.some((one) => one.uid === uid && one.blockOwnerDeletion === true) === true;
    return { kind: hasSome(dependents(), isBlocking) ? 'awaitDependents' : 'release' };
  }
  if (owners.length === 0 || owners.some(({ state }) => state === 'unknown')) return { kind: 'none' };
  const isPresent = owners.some(({ state }) => state === 'present');
  const gone = owners.filter(({ state }) => state !== 'present');
  if (isPresent) {
    return gone.length === 0
      ? { kind: 'none' }
      : { kind: 'dropOwners', uids: new Set(gone.map(({ reference }) => reference.uid)) };
  }
  const isWaited = owners.some(({ state }) => state === 'waiting') && hasSome(dependents(), () => true);
  const mayBeCircle = isWaited && owners.some(isHolding) && hasSome(dependents(), isWaiting);
  const propagationPolicy = isWaited ? 'Foreground' : policyOf(finalizers);
  return { kind: 'delete', propagationPolicy, ...(mayBeCircle ? { unblocksOwners: true } : {}) };
}

/** What becomes of the dependents of an object that nobody waits for: as its finalizers say. */
function policyOf(finalizers: readonly string[]): 'Background' | 'Foreground' | 'Orphan' {
  if (finalizers.includes(orphanFinalizer)) return 'Orphan';
  return finalizers.includes(foregroundFinalizer) ? 'Foreground' : 'Background';
}

function hasSome(objects: Iterable<KubeObject>, isSo: (object: KubeObject) => boolean): boolean {
  for (const object of objects) if (isSo(object)) return true;
  return false;
}

/** Whether it is being deleted and lets its dependents go first. */
export function isWaiting({ metadata }: KubeObject): boolean {
  return (
    metadata?.deletionTimestamp !== undefined && metadata.finalizers?.includes(foregroundFinalizer) === true
  );
}

function isHolding({ reference }: GarbageInput['owners'][number]): boolean {
  return reference.blockOwnerDeletion === true;
}
