import type { KindRules } from './rules.ts';

/** Rules of Bindings, and of the questions that are answered with a status. */
export const answeredRules: KindRules = {
  isStored: false,
};
