import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Endpoints. */
export const endpointsRules: KindRules = {
  defaults: [['subsets[].ports[].protocol', 'TCP']],
  tracksGeneration: false,
};
