import type { KindRules } from '#api/kinds/rules.ts';
import { keepServiceAllocations } from '#api/strategy-service.ts';

/** Rules of Services: they hold addresses and ports of the cluster. */
export const serviceRules: KindRules = {
  tracksGeneration: false,
  prepareUpdate: keepServiceAllocations,
};
