import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ResourceClaims. */
export const resourceClaimRules: KindRules = {
  tracksGeneration: false,
};

/** Rules of ResourceClaimTemplates. */
export const resourceClaimTemplateRules: KindRules = {
  tracksGeneration: false,
};
