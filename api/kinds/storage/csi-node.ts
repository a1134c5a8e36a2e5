import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CSINodes. */
export const csiNodeRules: KindRules = {
  tracksGeneration: false,
};
