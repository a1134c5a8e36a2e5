import type { DefaultRule } from './rule.ts';

/** Which requests a policy is about, where `match` says so. */
export function matchRules(match: string): readonly DefaultRule[] {
  return [...matchRulesOf(match, 'resourceRules'), [`${match}.excludeResourceRules[].scope`, '*']];
}

/** The same with the list of its rules under a name of its own. */
export function matchRulesOf(holder: string, rules: string): readonly DefaultRule[] {
  return [
    [`${holder}.matchPolicy`, 'Equivalent'],
    [`${holder}.namespaceSelector`, {}],
    [`${holder}.objectSelector`, {}],
    [`${holder}.${rules}[].scope`, '*'],
  ];
}
