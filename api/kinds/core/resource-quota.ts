import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ResourceQuotas. */
export const resourceQuotaRules: KindRules = {
  tracksGeneration: false,
};
