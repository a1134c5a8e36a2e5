import { typed } from '#api/wire/json.ts';
import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { persistentVolumeCells } from '#api/table/core.ts';
import { formatTime } from '#api/meta/time.ts';
import { persistentVolumeWarnings } from '#api/warnings/storage.ts';
import { protectedBy } from './storage-protection.ts';
import { validatePersistentVolume, validatePersistentVolumeUpdate } from './volumes/volume-validation.ts';

/** Rules of PersistentVolumes. */
export const persistentVolumeRules: KindRules = {
  effect: noVolumes,
  defaults: [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.persistentVolumeReclaimPolicy', 'Retain'],
    ['spec.volumeMode', 'Filesystem'],
    ['spec.hostPath.type', () => ''],
    ['spec.iscsi.iscsiInterface', 'default'],
    ['spec.rbd.pool', 'rbd'],
    ['spec.rbd.user', 'admin'],
    ['spec.rbd.keyring', '/etc/ceph/keyring'],
  ],
  admit: protectedBy('kubernetes.io/pv-protection'),
  tracksGeneration: false,
  initialStatus: (_volume, { now }) => ({ phase: 'Pending', lastPhaseTransitionTime: formatTime(now) }),
  validate: validatePersistentVolume,
  validateUpdate: validatePersistentVolumeUpdate,
  validatesAll: true,
  warnings: persistentVolumeWarnings,
  answersDeleteWithObject: true,
  cells: (object, now) => persistentVolumeCells(typed(object), now),
};
