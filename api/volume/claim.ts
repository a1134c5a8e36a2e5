import type {
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  Volume,
} from '#api/generated/objects.ts';
import { isControlledBy } from '#api/meta/owner.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';

// Annotations of claims and volumes (k8s.io/component-helpers storage/volume).
export const bindCompletedAnnotation = 'pv.kubernetes.io/bind-completed';
export const boundByControllerAnnotation = 'pv.kubernetes.io/bound-by-controller';
export const provisionedByAnnotation = 'pv.kubernetes.io/provisioned-by';
export const selectedNodeAnnotation = 'volume.kubernetes.io/selected-node';
export const storageProvisionerAnnotations: readonly string[] = [
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';
const defaultClassAnnotations: readonly string[] = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Who is to make the claim's volume; '': nobody was said. */
export function provisionerOf({ metadata }: PersistentVolumeClaim): string {
  return storageProvisionerAnnotations.map((name) => metadata?.annotations?.[name]).find(Boolean) ?? '';
}

/** The provisioner of classes whose volumes somebody makes by hand. */
export const noProvisioner = 'kubernetes.io/no-provisioner';

/** The name of the claim that a pod's volume uses; undefined: it uses none. */
export function claimNameOf(pod: Pod, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim !== undefined) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral === undefined ? undefined : `${pod.metadata?.name ?? ''}-${volume.name}`;
}

/** The claims that a pod names or has made for it, as `namespace/name`. */
export function claimKeysOfPod(pod: Pod): readonly string[] {
  const namespace = pod.metadata?.namespace ?? '';
  return (pod.spec?.volumes ?? []).flatMap((volume) => {
    const name = claimNameOf(pod, volume);
    return name === undefined ? [] : [`${namespace}/${name}`];
  });
}

/** The node of a pod that uses claims. An index. */
export function nodeWithClaims(pod: Pod): readonly string[] {
  const name = pod.spec?.nodeName ?? '';
  return name === '' || claimKeysOfPod(pod).length === 0 ? [] : [name];
}

/** Why a claim may not be what the pod's ephemeral volume is made of (ephemeral.VolumeIsForPod); undefined: it may. */
export function foreignClaim(pod: Pod, claim: PersistentVolumeClaim): string | undefined {
  if (isControlledBy(claim, pod.metadata?.uid)) return undefined;
  const nameOf = ({ metadata }: Pod | PersistentVolumeClaim): string =>
    `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
  return `PVC ${nameOf(claim)} was not created for pod ${nameOf(pod)} (pod is not owner)`;
}

/** The class that a claim names: the annotation was first. Undefined: none was said; '': a volume of none. */
export function claimClass({ metadata, spec }: PersistentVolumeClaim): string | undefined {
  return metadata?.annotations?.[classAnnotation] ?? spec?.storageClassName;
}

/** The class of a volume; '' for none. */
export function volumeClass({ metadata, spec }: PersistentVolume): string {
  return metadata?.annotations?.[classAnnotation] ?? spec?.storageClassName ?? '';
}

/** The default class: of several the youngest, then the first by name (DefaultStorageClass of kube-apiserver). */
export function defaultClassOf(classes: readonly StorageClass[]): StorageClass | undefined {
  const [first] = classes
    .filter(({ metadata }) =>
      defaultClassAnnotations.some((name) => metadata?.annotations?.[name] === 'true'),
    )
    .toSorted(
      (a, b) =>
        (b.metadata?.creationTimestamp ?? '').localeCompare(a.metadata?.creationTimestamp ?? '') ||
        (a.metadata?.name ?? '').localeCompare(b.metadata?.name ?? ''),
    );
  return first;
}

/** What a claim asks for, in billionths of a byte. */
export function requestedSize(claim: PersistentVolumeClaim): bigint {
  return tryParseQuantity(claim.spec?.resources?.requests?.['storage'])?.nanos ?? 0n;
}

/** What a volume has, in billionths of a byte. */
export function volumeSize(volume: PersistentVolume): bigint {
  return tryParseQuantity(volume.spec?.capacity?.['storage'])?.nanos ?? 0n;
}

/** Whether the volume is the claim's: it names it, and no other claim of that name before (IsVolumeBoundToClaim). */
export function isBoundTo({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const { claimRef } = spec ?? {};
  if (claimRef === undefined) return false;
  if (claimRef.name !== metadata?.name || claimRef.namespace !== metadata?.namespace) return false;
  return (claimRef.uid ?? '') === '' || claimRef.uid === metadata?.uid;
}

/** Whether the claim has its volume for good: it names it, and the binder is done (IsPVCFullyBound). */
export function isFullyBound({ metadata, spec }: PersistentVolumeClaim): boolean {
  return (spec?.volumeName ?? '') !== '' && metadata?.annotations?.[bindCompletedAnnotation] !== undefined;
}

/** Whether claims of the class wait for a pod that uses them. */
export function waitsForConsumer(storageClass: StorageClass | undefined): boolean {
  return storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
}

/** Whom a volume is for: the claim that it names (`claim/NAMESPACE/NAME`), else all of its class (`class/NAME`). An index of caches. */
export function offeredTo(volume: PersistentVolume): string {
  const { claimRef } = volume.spec ?? {};
  if (claimRef === undefined) return `class/${volumeClass(volume)}`;
  return `claim/${claimRef.namespace ?? ''}/${claimRef.name ?? ''}`;
}
