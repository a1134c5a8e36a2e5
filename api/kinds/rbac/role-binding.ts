import type { DefaultRule } from '#api/defaults/rule.ts';
import type { KindRules } from '#api/kinds/rules.ts';

const bindingDefaults: readonly DefaultRule[] = [
  ['roleRef.apiGroup', 'rbac.authorization.k8s.io'],
  [
    'subjects[].apiGroup',
    ({ kind }) => (kind === 'User' || kind === 'Group' ? 'rbac.authorization.k8s.io' : undefined),
  ],
];

/** Rules of RoleBindings. */
export const roleBindingRules: KindRules = {
  defaults: bindingDefaults,
  tracksGeneration: false,
};

/** Rules of ClusterRoleBindings. */
export const clusterRoleBindingRules: KindRules = {
  defaults: bindingDefaults,
  tracksGeneration: false,
};
