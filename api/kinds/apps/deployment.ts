import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Deployments. */
export const deploymentRules: KindRules = {
  keepsLabelsOnStatus: true,
};
