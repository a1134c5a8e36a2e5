import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Secrets. */
export const secretRules: KindRules = {
  tracksGeneration: false,
};
