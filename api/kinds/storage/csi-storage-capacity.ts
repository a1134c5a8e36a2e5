import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { immutable } from '#api/validation/field.ts';
import { storageCapacityWarnings } from '#api/warnings/storage.ts';
import { validateCsiStorageCapacity } from './csi-validation.ts';

/** Rules of CSIStorageCapacities. */
export const csiStorageCapacityRules: KindRules = {
  effect: acted('control-plane/scheduler/volumes/bind-volumes.ts'),
  updatesNameRevision: true,
  tracksGeneration: false,
  validate: validateCsiStorageCapacity,
  validatesAll: true,
  warnings: storageCapacityWarnings,
  validateUpdate: (old, capacity) => [
    ...immutable('nodeTopology', undefined, 'meta.v1.LabelSelector')(old, capacity),
    ...immutable('storageClassName')(old, capacity),
  ],
};
