import type { KindRules } from '#api/kinds/rules.ts';
import { pathSegment } from '#api/validation/format.ts';

/** Rules of APIServices. */
export const apiServiceRules: KindRules = {
  defaults: [['spec.service.port', 443]],
  tracksGeneration: false,
  nameFormat: pathSegment,
  takesAnyFinalizer: true,
};
