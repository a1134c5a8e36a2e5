import { noVolumes } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CSIStorageCapacities. */
export const csiStorageCapacityRules: KindRules = {
  effect: noVolumes,
  tracksGeneration: false,
};
