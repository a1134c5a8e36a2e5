import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ConfigMaps. */
export const configMapRules: KindRules = {
  tracksGeneration: false,
};
