import { requiredField } from '#api/errors/field-error.ts';
import { at, objectOf, typed } from '#api/wire/json.ts';
import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { persistentVolumeCells } from '#api/table/core.ts';
import { formatTime } from '#api/meta/time.ts';
import { accessModeErrors } from '#api/validation/access-modes.ts';
import { protectedBy } from './storage-protection.ts';

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
  validate: (volume) => [
    ...accessModeErrors(volume),
    ...(Object.keys(objectOf(at(volume, 'spec.capacity'))).length === 0
      ? [requiredField('spec.capacity')]
      : []),
    ...(Object.keys(objectOf(volume['spec'])).some((key) => volumeSources.has(key))
      ? []
      : [requiredField('spec', 'must specify a volume type')]),
  ],
  answersDeleteWithObject: true,
  cells: (object, now) => persistentVolumeCells(typed(object), now),
};

const volumeSources: ReadonlySet<string> = new Set(
  (
    'awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs hostPath ' +
    'iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume'
  ).split(' '),
);
