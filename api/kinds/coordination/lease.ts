import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Leases. */
export const leaseRules: KindRules = {
  tracksGeneration: false,
};
