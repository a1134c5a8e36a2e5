import type { KindRules } from '#api/kinds/rules.ts';
import { validateEvent, validateEventUpdate } from '#api/validation/event.ts';

/** Rules of Events under their second name. */
export const eventV1Rules: KindRules = {
  tracksGeneration: false,
  validate: validateEvent,
  validateUpdate: validateEventUpdate,
};
