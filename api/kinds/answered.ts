import { answered } from './effect.ts';
import type { KindRules } from './rules.ts';

/** Rules of the questions that are answered with a status. */
export const answeredRules: KindRules = {
  effect: answered,
  isStored: false,
};

/** Of those that bring a token. */
export const tokenReviewRules: KindRules = { ...answeredRules, secretFields: ['token'] };
