import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Endpoints. */
export const endpointsRules: KindRules = {
  tracksGeneration: false,
};
