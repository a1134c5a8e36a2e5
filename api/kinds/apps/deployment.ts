import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of Deployments. */
export const deploymentRules: KindRules = {
  defaults: [
    ['spec.replicas', 1],
    ['spec.strategy', {}],
    ['spec.strategy.type', 'RollingUpdate'],
    ['spec.strategy.rollingUpdate', (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined)],
    ['spec.strategy.rollingUpdate.maxUnavailable', '25%'],
    ['spec.strategy.rollingUpdate.maxSurge', '25%'],
    ['spec.revisionHistoryLimit', 10],
    ['spec.progressDeadlineSeconds', 600],
  ],
  podTemplatePath: 'spec.template',
  keepsLabelsOnStatus: true,
};
