import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of CronJobs. */
export const cronJobRules: KindRules = {
  defaults: [
    ['spec.concurrencyPolicy', 'Allow'],
    ['spec.suspend', false],
    ['spec.successfulJobsHistoryLimit', 3],
    ['spec.failedJobsHistoryLimit', 1],
  ],
  podTemplatePath: 'spec.jobTemplate.spec.template',
};
