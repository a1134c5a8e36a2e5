import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of RoleBindings. */
export const roleBindingRules: KindRules = {
  tracksGeneration: false,
};

/** Rules of ClusterRoleBindings. */
export const clusterRoleBindingRules: KindRules = {
  tracksGeneration: false,
};
