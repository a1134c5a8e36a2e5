import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Events under their first name. */
export const eventRules: KindRules = {
  tracksGeneration: false,
};
