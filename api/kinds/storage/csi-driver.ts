import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CSIDrivers. */
export const csiDriverRules: KindRules = {
  tracksGeneration: false,
};
