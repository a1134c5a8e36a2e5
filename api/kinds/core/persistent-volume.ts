import type { KindRules } from '#api/kinds/rules.ts';
import { formatTime } from '#api/time.ts';

/** Rules of PersistentVolumes. */
export const persistentVolumeRules: KindRules = {
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
  tracksGeneration: false,
  initialStatus: (_volume, { now }) => ({ phase: 'Pending', lastPhaseTransitionTime: formatTime(now) }),
};
