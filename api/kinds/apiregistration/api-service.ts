import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of APIServices. */
export const apiServiceRules: KindRules = {
  defaults: [['spec.service.port', 443]],
  tracksGeneration: false,
};
