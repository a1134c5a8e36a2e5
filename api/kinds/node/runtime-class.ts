import type { KindRules } from '#api/kinds/rules.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of RuntimeClasses. */
export const runtimeClassRules: KindRules = {
  tracksGeneration: false,
  validateUpdate: immutable('handler'),
};
