import type { KindRules } from '#api/kinds/rules.ts';
import { validateCoreEvent } from '#api/validation/event.ts';

/** Rules of Events under their first name. */
export const eventRules: KindRules = {
  tracksGeneration: false,
  validate: validateCoreEvent,
};
