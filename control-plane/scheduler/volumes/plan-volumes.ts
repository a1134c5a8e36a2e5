import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import {
  claimClass,
  claimNameOf,
  foreignClaim,
  isFullyBound,
  noProvisioner,
  requestedSize,
  selectedNodeAnnotation,
  waitsForConsumer,
} from '#api/volume/claim.ts';
import { localProvisioner, volumesDirectoryOf } from '#api/volume/local-volumes.ts';
import { findVolume, isOnNode } from '#api/volume/match.ts';
import { hasCapacity } from './capacity.ts';
import type { VolumeLookUp } from './look-up.ts';

/** Why a node does not do, in words of kube-scheduler's VolumeBinding plugin. */
export const volumeReasons = {
  affinity: 'node(s) had volume node affinity conflict',
  bind: "node(s) didn't find available persistent volumes to bind",
  space: 'node(s) did not have enough free storage',
  lost: 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
} as const;

/** The claims of a pod, looked up: those that have their volumes, and those that get them where the pod goes. */
export interface PodClaims {
  readonly bound: readonly PersistentVolumeClaim[];
  /** The smaller first, so that each takes the smallest volume that is enough (findMatchingVolumes). */
  readonly waiting: readonly PersistentVolumeClaim[];
}

/** What has to be so before the pod can start on its node. */
export interface VolumePlan {
  /** Volumes that are there, for claims that wait. */
  readonly bind: readonly { readonly claim: PersistentVolumeClaim; readonly volume: PersistentVolume }[];
  /** Claims that are to get a volume made on the node. */
  readonly provision: readonly PersistentVolumeClaim[];
}

/** The claims of a pod, or why no node can run it now (PreFilter of VolumeBinding). Pure. */
export function claimsFor(pod: Pod, look: VolumeLookUp): PodClaims | string {
  const namespace = pod.metadata?.namespace ?? '';
  const bound: PersistentVolumeClaim[] = [];
  const waiting: PersistentVolumeClaim[] = [];
  let isUnbound = false;
  for (const volume of pod.spec?.volumes ?? []) {
    const name = claimNameOf(pod, volume);
    if (name === undefined) continue;
    const claim = look.claim(`${namespace}/${name}`);
    const quoted = JSON.stringify(name);
    if (claim === undefined)
      return volume.ephemeral === undefined
        ? `persistentvolumeclaim ${quoted} not found`
        : `waiting for ephemeral volume controller to create the persistentvolumeclaim ${quoted}`;
    const foreign = volume.ephemeral === undefined ? undefined : foreignClaim(pod, claim);
    if (foreign !== undefined) return foreign;
    if (claim.status?.phase === 'Lost')
      return `persistentvolumeclaim ${quoted} bound to non-existent persistentvolume ${JSON.stringify(claim.spec?.volumeName ?? '')}`;
    if (claim.metadata?.deletionTimestamp !== undefined)
      return `persistentvolumeclaim ${quoted} is being deleted`;
    if (isFullyBound(claim)) bound.push(claim);
    else if (isDelayed(claim, look)) waiting.push(claim);
    else isUnbound = true;
  }
  if (isUnbound) return 'pod has unbound immediate PersistentVolumeClaims';
  const bySize = waiting.toSorted((a, b) => Number(requestedSize(a) - requestedSize(b)));
  return { bound, waiting: bySize };
}

/** One that names a volume itself is bound by the binder alone, whatever its class says. */
function isDelayed(claim: PersistentVolumeClaim, look: VolumeLookUp): boolean {
  return (
    (claim.spec?.volumeName ?? '') === '' && waitsForConsumer(look.storageClass(claimClass(claim) ?? ''))
  );
}

/** Why a node does not do. */
export interface Refused {
  readonly reasons: readonly string[];
}

/** What the claims need on the node, or why it does not do (FindPodVolumes): by volumes that are there, by those to come, or both. Pure. */
export function planVolumes(claims: PodClaims, node: Node, look: VolumeLookUp): VolumePlan | Refused {
  const wrong = claims.bound
    .map((claim) => boundReason(claim, node, look))
    .find((reason) => reason !== undefined);
  const plan = planWaiting(claims.waiting, node, look);
  if (typeof plan !== 'string' && wrong === undefined) return plan;
  return { reasons: [wrong, plan].filter((reason) => typeof reason === 'string') };
}

function boundReason({ spec }: PersistentVolumeClaim, node: Node, look: VolumeLookUp): string | undefined {
  const volume = look.volume(spec?.volumeName ?? '');
  if (volume === undefined) return volumeReasons.lost;
  return isOnNode(volume, node) ? undefined : volumeReasons.affinity;
}

function planWaiting(
  waiting: readonly PersistentVolumeClaim[],
  node: Node,
  look: VolumeLookUp,
): VolumePlan | string {
  const bind: { claim: PersistentVolumeClaim; volume: PersistentVolume }[] = [];
  const provision: PersistentVolumeClaim[] = [];
  const given = new Set<string>();
  for (const claim of waiting) {
    const key = objectKey(claim);
    const name = claimClass(claim) ?? '';
    const chosen = claim.metadata?.annotations?.[selectedNodeAnnotation] ?? look.chosenNode(key);
    if (chosen !== undefined && chosen !== node.metadata?.name) return volumeReasons.bind;
    const volume =
      chosen === undefined
        ? findVolume(claim, look.offered(name, key), {
            node,
            isTaken: (one) => given.has(one.metadata?.name ?? '') || look.isTaken(one, key),
          })
        : undefined;
    if (volume !== undefined) {
      given.add(volume.metadata?.name ?? '');
      bind.push({ claim, volume });
      continue;
    }
    const storageClass = look.storageClass(name);
    if (storageClass === undefined || !canMake(storageClass, node)) return volumeReasons.bind;
    if (!hasCapacity(claim, { node, storageClass }, look)) return volumeReasons.space;
    provision.push(claim);
  }
  return { bind, provision };
}

/** Whether a volume of the class can be made for the node. */
function canMake(storageClass: StorageClass, node: Node): boolean {
  if (storageClass.provisioner === noProvisioner) return false;
  if (storageClass.provisioner === localProvisioner && volumesDirectoryOf(node) === undefined) return false;
  const { allowedTopologies = [] } = storageClass;
  const labels = node.metadata?.labels ?? {};
  return (
    allowedTopologies.length === 0 ||
    allowedTopologies.some(({ matchLabelExpressions = [] }) =>
      matchLabelExpressions.every(({ key, values }) => values.includes(labels[key] ?? '')),
    )
  );
}
