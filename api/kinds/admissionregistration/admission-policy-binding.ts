import { matchRules } from '#api/defaults/match-rules.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of both kinds of bindings of admission policies. */
export const policyBindingRules: KindRules = {
  defaults: matchRules('spec.matchResources'),
  takesAnyFinalizer: true,
};
