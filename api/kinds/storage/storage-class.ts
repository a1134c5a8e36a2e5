import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of StorageClasses. */
export const storageClassRules: KindRules = {
  defaults: [
    ['reclaimPolicy', 'Delete'],
    ['volumeBindingMode', 'Immediate'],
  ],
  tracksGeneration: false,
};
