import { at, listOf, objectOf } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { formatLabelSelector, labelSelectorFromObject } from '#api/meta/selector.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { none } from '#api/table/text.ts';
import { validateNetworkPolicy } from '#api/validation/network-policy.ts';
import { networkPolicyWarnings } from '#api/warnings/address.ts';

/** Rules of NetworkPolicies. */
export const networkPolicyRules: KindRules = {
  effect: acted('agent/network/policy/enforce-policies.ts'),
  defaults: [
    ['spec.ingress[].ports[].protocol', 'TCP'],
    ['spec.egress[].ports[].protocol', 'TCP'],
    ['spec.policyTypes', (spec) => (listOf(spec['egress']).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'])],
  ],
  updateChecks: ['metadata changes', 'object'],
  validate: validateNetworkPolicy,
  warnings: networkPolicyWarnings,
  cells: (policy, now) => [
    nameOf(policy),
    formatLabelSelector(labelSelectorFromObject(objectOf(at(policy, 'spec.podSelector')))) || none,
    ageOfObject(policy, now),
  ],
};
