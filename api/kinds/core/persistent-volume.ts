import { sourceRules } from '#api/defaults/volume-source.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { localVolumeFinalizer, volumeNodeLabel } from '#api/volume/local-volumes.ts';
import { at, equalJson, listOf, objectOf, typed, withPath } from '#api/wire/json.ts';
import { acted, type PartEffect } from '#api/kinds/effect.ts';
import type { KindRules, NodeWrite } from '#api/kinds/rules.ts';
import { persistentVolumeCells } from '#api/table/core.ts';
import { formatTime } from '#api/meta/time.ts';
import { persistentVolumeWarnings } from '#api/warnings/storage.ts';
import { protectedBy } from './storage-protection.ts';
import { validatePersistentVolume, validatePersistentVolumeUpdate } from './volumes/volume-validation.ts';

/** Sources that agents mount; all others are bound, and refused when a pod comes. */
const mountedSources: ReadonlySet<string> = new Set(['csi', 'hostPath', 'local', 'nfs']);
const otherFields: ReadonlySet<string> = new Set([
  ...['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy'],
  ...['storageClassName', 'volumeAttributesClassName', 'volumeMode'],
]);

const otherSources: PartEffect = {
  part: 'spec: a source other than csi, hostPath, local and nfs',
  what: 'no node mounts it',
  find: (volume) =>
    Object.keys(objectOf(volume['spec']))
      .filter((field) => !otherFields.has(field) && !mountedSources.has(field))
      .map((field) => `spec.${field}`),
};

const mountOptions: PartEffect = {
  part: 'spec.mountOptions',
  what: 'a directory is mounted without options, and a volume that asks for some is refused',
  find: (volume) =>
    ['spec.csi', 'spec.nfs'].some((source) => at(volume, source) !== undefined) ||
    listOf(at(volume, 'spec.mountOptions')).length === 0
      ? []
      : ['spec.mountOptions'],
};

/** A node takes off what keeps a volume that it has removed (decision 0090), and nothing else. */
function refuseVolumeWrite({
  node,
  operation,
  subresource,
  old = {},
  object = {},
}: NodeWrite): string | undefined {
  if (operation !== 'update' || subresource !== '')
    return 'a node may only take its finalizer off a PersistentVolume';
  if (at(old, ['metadata', 'labels', volumeNodeLabel]) !== node)
    return `node ${JSON.stringify(node)} may only change PersistentVolumes that it made`;
  if (at(old, 'metadata.deletionTimestamp') === undefined)
    return 'a node may only change a PersistentVolume that is being deleted';
  const finalizers = listOf(at(old, 'metadata.finalizers')).filter((one) => one !== localVolumeFinalizer);
  const want = withPath(bare(old), 'metadata.finalizers', finalizers);
  const got = withPath(bare(object), 'metadata.finalizers', listOf(at(object, 'metadata.finalizers')));
  return equalJson(want, got)
    ? undefined
    : `a node may only take ${localVolumeFinalizer} off a PersistentVolume`;
}

/** Without what the server writes by itself. */
function bare(volume: JsonObject): JsonObject {
  const { resourceVersion: _version, managedFields: _fields, ...metadata } = objectOf(volume['metadata']);
  return { ...volume, metadata };
}

/** Since when it is in its phase the server knows, unless the writer says (persistentvolumeStatusStrategy). */
function withDatedPhase(old: JsonObject, volume: JsonObject, now: number): JsonObject {
  const time = 'status.lastPhaseTransitionTime';
  const [before, given] = [at(old, time), at(volume, time)];
  if (at(old, 'status.phase') === at(volume, 'status.phase'))
    return given === undefined && before !== undefined ? withPath(volume, time, before) : volume;
  return given === undefined || given === before ? withPath(volume, time, formatTime(now)) : volume;
}

/** Rules of PersistentVolumes. */
export const persistentVolumeRules: KindRules = {
  effect: acted('control-plane/controllers/persistent-volume/reconcile.ts'),
  unactedParts: [otherSources, mountOptions],
  defaults: [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.persistentVolumeReclaimPolicy', 'Retain'],
    ['spec.volumeMode', 'Filesystem'],
    ...sourceRules('spec'),
  ],
  admit: protectedBy('kubernetes.io/pv-protection'),
  tracksGeneration: false,
  initialStatus: (_volume, { now }) => ({ phase: 'Pending', lastPhaseTransitionTime: formatTime(now) }),
  dateUpdate: withDatedPhase,
  refuseNode: refuseVolumeWrite,
  validate: validatePersistentVolume,
  validateUpdate: validatePersistentVolumeUpdate,
  validatesAll: true,
  warnings: persistentVolumeWarnings,
  answersDeleteWithObject: true,
  cells: (object, now) => persistentVolumeCells(typed(object), now),
};
