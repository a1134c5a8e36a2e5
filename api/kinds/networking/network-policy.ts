import { at, listOf } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';

/** Rules of NetworkPolicies. */
export const networkPolicyRules: KindRules = {
  defaults: [
    ['spec.ingress[].ports[].protocol', 'TCP'],
    ['spec.egress[].ports[].protocol', 'TCP'],
    ['spec.policyTypes', (spec) => (listOf(spec['egress']).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'])],
  ],
  validate: (policy) => labelSelectorErrors(at(policy, 'spec.podSelector'), 'spec.podSelector'),
};
