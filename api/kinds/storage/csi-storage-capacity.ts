import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of CSIStorageCapacities. */
export const csiStorageCapacityRules: KindRules = {
  effect: noVolumes,
  tracksGeneration: false,
  validateUpdate: (old, capacity) => [
    ...immutable('nodeTopology')(old, capacity),
    ...immutable('storageClassName')(old, capacity),
  ],
};
