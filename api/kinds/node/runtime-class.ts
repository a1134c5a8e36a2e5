import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of RuntimeClasses. */
export const runtimeClassRules: KindRules = {
  tracksGeneration: false,
};
