import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { boundByControllerAnnotation, isBoundTo, provisionedByAnnotation } from '#api/volume/claim.ts';
import { localVolumeFinalizer, localVolumeNode } from '#api/volume/local-volumes.ts';
import { modeOf } from '#api/volume/match.ts';
import { referenceTo } from './plan-local-volume.ts';
import { event, type EventStep, type VolumeStep } from './step.ts';

export interface VolumeInput {
  readonly volume: PersistentVolume;
  /** The claim that it names, by name and uid; undefined: there is none (any more). */
  readonly claim: PersistentVolumeClaim | undefined;
  /** Whether the Node of that name is there. */
  readonly hasNode: (name: string) => boolean;
}

/** Which driver has a volume that was made for a plugin of kube-controller-manager's own (AnnMigratedTo of component-helpers). */
const migratedToAnnotation = 'pv.kubernetes.io/migrated-to';

type Phase = Extract<VolumeStep, { kind: 'phase' }>['phase'];

/** What the binder does about a volume (syncVolume of the persistentvolume controller of kube-controller-manager 1.36). Pure. */
export function planVolume(input: VolumeInput): readonly VolumeStep[] {
  const { volume, claim } = input;
  const { claimRef } = volume.spec ?? {};
  if (isGoing(volume) && isOrphaned(input)) return planOrphan(volume);
  if (claimRef === undefined || (claimRef.uid ?? '') === '') return phase(volume, 'Available');
  if (claim === undefined) return planReleased(volume);
  const named = claim.spec?.volumeName ?? '';
  if (named === '') return planMeeting(volume, claim);
  if (named === volume.metadata?.name) return phase(volume, 'Bound');
  const isMade = volume.metadata?.annotations?.[provisionedByAnnotation] !== undefined;
  if (isMade && volume.spec?.persistentVolumeReclaimPolicy === 'Delete') return planReleased(volume);
  return [{ kind: 'unbind' }, ...phase(volume, 'Available')];
}

/** The claim has not taken it yet; its own turn does that. */
function planMeeting(volume: PersistentVolume, claim: PersistentVolumeClaim): readonly VolumeStep[] {
  if (modeOf(volume) === modeOf(claim)) return [];
  const [name, own] = [claim, volume].map(({ metadata }) => JSON.stringify(metadata?.name ?? ''));
  const cannot = (volumeName: string, claimName: string): EventStep =>
    event(
      'Warning',
      'VolumeMismatch',
      `Cannot bind PersistentVolume${volumeName} to requested PersistentVolumeClaim${claimName} due to incompatible volumeMode.`,
    );
  return [cannot('', ` ${name}`), { ...cannot(` ${own}`, ''), about: claim }];
}

function phase(volume: PersistentVolume, to: Phase): readonly VolumeStep[] {
  return volume.status?.phase === to ? [] : [{ kind: 'phase', phase: to }];
}

/** Nobody's any more. One that Failed as it was taken back stays so, with its message, until it is. */
function planReleased(volume: PersistentVolume): readonly VolumeStep[] {
  const isOver = volume.status?.phase === 'Released' || volume.status?.phase === 'Failed';
  return [...(isOver ? [] : phase(volume, 'Released')), ...planReclaim(volume)];
}

/** By the policy of a volume whose claim is gone. */
function planReclaim(volume: PersistentVolume): readonly VolumeStep[] {
  const { spec, metadata } = volume;
  // A driver has taken the place of who made it, and takes it away.
  if (metadata?.annotations?.[migratedToAnnotation] !== undefined) return [];
  switch (spec?.persistentVolumeReclaimPolicy ?? 'Retain') {
    case 'Retain':
      return [];
    case 'Recycle':
      // Deprecated, and done by pods in the namespace of nobody: nothing here has a recycler.
      return fail(volume, 'VolumeFailedRecycle', 'No recycler plugin found for the volume!');
    case 'Delete':
      break;
  }
  if (localVolumeNode(volume) !== undefined) return isGoing(volume) ? [] : [{ kind: 'delete' }];
  // Who made it takes it away.
  if (metadata?.annotations?.[provisionedByAnnotation] !== undefined) return [];
  const { hostPath } = spec ?? {};
  if (hostPath !== undefined)
    return fail(
      volume,
      'VolumeFailedDelete',
      /^\/tmp\/.+/.test(hostPath.path)
        ? `host_path deleter: ${hostPath.path} is on a node, and nothing here removes what it did not make`
        : `host_path deleter only supports /tmp/.+ but received provided ${hostPath.path}`,
    );
  const name = JSON.stringify(metadata?.name ?? '');
  return fail(
    volume,
    'VolumeFailedDelete',
    `error getting deleter volume plugin for volume ${name}: no deletable volume plugin matched`,
  );
}

/** Said once. */
function fail({ status }: PersistentVolume, reason: string, message: string): readonly VolumeStep[] {
  if (status?.phase === 'Failed' && status.message === message) return [];
  return [{ kind: 'phase', phase: 'Failed', message }, event('Warning', reason, message)];
}

function isGoing({ metadata }: PersistentVolume): boolean {
  return metadata?.deletionTimestamp !== undefined;
}

function isOrphaned({ volume, hasNode }: VolumeInput): boolean {
  const node = localVolumeNode(volume);
  const isKept = volume.metadata?.finalizers?.includes(localVolumeFinalizer) === true;
  return isKept && node !== undefined && !hasNode(node);
}

function planOrphan(volume: PersistentVolume): readonly VolumeStep[] {
  const { local, persistentVolumeReclaimPolicy: policy } = volume.spec ?? {};
  const node = localVolumeNode(volume) ?? '';
  const message = `node ${node} is gone: should it come back, its directory ${local?.path ?? ''} is there still`;
  const told: readonly VolumeStep[] =
    policy === 'Delete' ? [event('Warning', 'VolumeFailedDelete', message)] : [];
  return [...told, { kind: 'letGo' }];
}

/** The volume as it is once it is the claim's; the same object where it is already. Pure. */
export function boundVolume(volume: PersistentVolume, claim: PersistentVolumeClaim): PersistentVolume {
  const { claimRef } = volume.spec ?? {};
  const isNamed = isBoundTo(volume, claim);
  if (isNamed && claimRef?.uid === claim.metadata?.uid) return volume;
  const own = isNamed ? {} : { [boundByControllerAnnotation]: 'yes' };
  const annotations = { ...volume.metadata?.annotations, ...own };
  return {
    ...volume,
    metadata: {
      ...volume.metadata,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    spec: { ...volume.spec, claimRef: referenceTo(claim) },
  };
}

/** The volume as it is for the next claim. Pure. */
export function unboundVolume(volume: PersistentVolume): PersistentVolume {
  const { [boundByControllerAnnotation]: byUs, ...annotations } = volume.metadata?.annotations ?? {};
  const { claimRef, ...spec } = volume.spec ?? {};
  if (byUs !== undefined) return { ...volume, metadata: { ...volume.metadata, annotations }, spec };
  const { uid: _uid, resourceVersion: _version, ...name } = claimRef ?? {};
  return { ...volume, spec: { ...spec, claimRef: name } };
}
