import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of PersistentVolumeClaims. */
export const persistentVolumeClaimRules: KindRules = {
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Pending' }),
};
