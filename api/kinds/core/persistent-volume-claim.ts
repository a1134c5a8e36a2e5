import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of PersistentVolumeClaims. */
export const persistentVolumeClaimRules: KindRules = {
  defaults: [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.volumeMode', 'Filesystem'],
  ],
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Pending' }),
};
