import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Roles. */
export const roleRules: KindRules = {
  tracksGeneration: false,
};

/** Rules of ClusterRoles. */
export const clusterRoleRules: KindRules = {
  tracksGeneration: false,
};
