import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of LimitRanges. */
export const limitRangeRules: KindRules = {
  tracksGeneration: false,
};
