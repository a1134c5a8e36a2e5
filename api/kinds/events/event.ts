import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Events under their second name. */
export const eventV1Rules: KindRules = {
  tracksGeneration: false,
};
