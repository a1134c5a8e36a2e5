import { typed } from '#api/wire/json.ts';
import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { persistentVolumeClaimCells } from '#api/table/core.ts';
import { protectedBy } from './storage-protection.ts';
import { validateClaim, validateClaimStatus, validateClaimUpdate } from './volumes/claim-validation.ts';

/** Rules of PersistentVolumeClaims. */
export const persistentVolumeClaimRules: KindRules = {
  effect: noVolumes,
  defaults: [
    ['status', {}],
    ['status.phase', 'Pending'],
    ['spec.volumeMode', 'Filesystem'],
  ],
  admit: protectedBy('kubernetes.io/pvc-protection'),
  tracksGeneration: false,
  initialStatus: () => ({ phase: 'Pending' }),
  validate: validateClaim,
  validateUpdate: validateClaimUpdate,
  validateStatus: validateClaimStatus,
  validatesAll: true,
  growsByUpdate: true,
  answersDeleteWithObject: true,
  cells: (object, now) => persistentVolumeClaimCells(typed(object), now),
};
