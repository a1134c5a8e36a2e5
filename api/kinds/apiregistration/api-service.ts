import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of APIServices. */
export const apiServiceRules: KindRules = {
  tracksGeneration: false,
};
