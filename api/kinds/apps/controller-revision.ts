import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ControllerRevisions. */
export const controllerRevisionRules: KindRules = {
  tracksGeneration: false,
};
