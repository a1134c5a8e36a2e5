import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { cronJobCells } from '#api/table/workload.ts';
import { jobWarnings } from '#api/warnings/job.ts';
import { validateCronJob } from '#api/validation/batch.ts';
import { dnsSubdomain, type Format } from '#api/validation/format.ts';
import { conditionDefaults } from './job.ts';

/** CronJobs leave room for what is appended to the names of their Jobs. */
const cronJobName: Format = (text) =>
  text.length > 52 ? ['must be no more than 52 characters'] : dnsSubdomain(text);

/** A zone in the schedule itself stays where it is since before that was refused (cronJobStrategy; the path is upstream's). */
function zoneWarnings(cronJob: JsonObject): readonly string[] {
  return stringOf(at(cronJob, 'spec.schedule')).includes('TZ')
    ? [
        'cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details',
      ]
    : [];
}

/** Rules of CronJobs. */
export const cronJobRules: KindRules = {
  effect: acted('control-plane/controllers/cronjob/reconcile.ts'),
  defaults: [
    ['spec.concurrencyPolicy', 'Allow'],
    ['spec.suspend', false],
    ['spec.successfulJobsHistoryLimit', 3],
    ['spec.failedJobsHistoryLimit', 1],
    conditionDefaults('spec.jobTemplate.spec'),
  ],
  podSpec: { path: 'spec.jobTemplate.spec.template.spec', isTemplate: true },
  warnings: (cronJob, old) => [
    ...jobWarnings(cronJob, old, 'spec.jobTemplate.spec'),
    ...(old === undefined ? [] : zoneWarnings(cronJob)),
  ],
  nameFormat: cronJobName,
  updateChecks: ['metadata changes', 'object'],
  validate: validateCronJob,
  validatesAll: true,
  cells: (object, now) => cronJobCells(typed(object), now),
};
