import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ServiceAccounts. */
export const serviceAccountRules: KindRules = {
  tracksGeneration: false,
  answersDeleteWithObject: true,
};
