import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CSIStorageCapacities. */
export const csiStorageCapacityRules: KindRules = {
  tracksGeneration: false,
};
