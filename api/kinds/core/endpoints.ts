import type { KindRules } from '#api/kinds/rules.ts';
import { validateEndpoints } from '#api/validation/service.ts';

/** Rules of Endpoints. */
export const endpointsRules: KindRules = {
  defaults: [['subsets[].ports[].protocol', 'TCP']],
  tracksGeneration: false,
  validate: validateEndpoints,
};
