import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ServiceCIDRs. */
export const serviceCidrRules: KindRules = {
  tracksGeneration: false,
};
