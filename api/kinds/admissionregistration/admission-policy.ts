import { matchRules } from '#api/defaults/match-rules.ts';
import type { DefaultRule } from '#api/defaults/rule.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of ValidatingAdmissionPolicies. */
export const validatingPolicyRules: KindRules = {
  defaults: policyRules('spec.matchConstraints'),
  takesAnyFinalizer: true,
};

/** Rules of MutatingAdmissionPolicies. */
export const mutatingPolicyRules: KindRules = {
  defaults: [...policyRules('spec.matchConstraints'), ['spec.reinvocationPolicy', 'Never']],
  takesAnyFinalizer: true,
};

function policyRules(match: string): readonly DefaultRule[] {
  return [['spec.failurePolicy', 'Fail'], ...matchRules(match)];
}
