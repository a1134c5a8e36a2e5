import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of StorageClasses. */
export const storageClassRules: KindRules = {
  tracksGeneration: false,
};
