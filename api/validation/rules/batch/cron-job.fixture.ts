import { neededAt, oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { ownOfPods } from '#api/validation/rules/pod/template.fixture.ts';
import { job, podOfJob } from './job.fixture.ts';

const jobs = 'spec.jobTemplate.spec';

export const cronJob: RuleTable = {
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  base: { spec: { schedule: '* * * * *', jobTemplate: { spec: { template: podOfJob } } } },
  rows: [
    ruleAt('metadata.name', 'at most 52 characters', { passes: 'a'.repeat(52), fails: 'a'.repeat(53) }, [
      `metadata.name: Invalid value: "${'a'.repeat(53)}": must be no more than 52 characters`,
    ]),
    ...neededAt('spec', { schedule: '@hourly', jobTemplate: { spec: { template: podOfJob } } }).filter(
      ({ field }) => field === 'spec.schedule',
    ),
    ruleAt(
      'spec.schedule',
      'of cron',
      { passes: '*/5 * * * 1-5', fails: 'x' },
      'Invalid value: "x": expected exactly 5 fields, found 1: [x]',
    ),
    ruleAt(
      'spec.schedule',
      'without a zone',
      { fails: 'TZ=UTC * * * * *' },
      'Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
    ),
    ...['startingDeadlineSeconds', 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit'].map((name) =>
      ruleAt(
        `spec.${name}`,
        'not negative',
        { passes: 0, fails: -1 },
        `Invalid value: -1: ${says.notNegative}`,
      ),
    ),
    ruleAt(
      'spec.timeZone',
      'not empty',
      { passes: 'Etc/UTC', fails: '' },
      'Invalid value: "": timeZone must be nil or non-empty string',
    ),
    ruleAt(
      'spec.timeZone',
      'not Local',
      { fails: 'Local' },
      'Invalid value: "Local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
    ),
    ruleAt(
      'spec.timeZone',
      'a known one',
      { passes: 'Europe/Berlin', fails: 'A/B' },
      'Invalid value: "A/B": unknown time zone A/B',
    ),
    oneOfAt('spec.concurrencyPolicy', ['Allow', 'Forbid', 'Replace']),
    ruleAt(
      `${jobs}.parallelism`,
      'as a Job has it',
      { passes: 0, fails: -1 },
      `Invalid value: -1: ${says.notNegative}`,
    ),
    ruleAt(
      `${jobs}.selector`,
      'none',
      { fails: { matchLabels: { a: 'b' } } },
      'Invalid value: {"matchLabels":{"a":"b"}}: `selector` will be auto-generated',
    ),
    ruleAt(
      `${jobs}.manualSelector`,
      'none',
      { passes: false, fails: true },
      'Unsupported value: true: supported values: "nil", "false"',
    ),
    ruleAt(
      `${jobs}.template.spec.restartPolicy`,
      'OnFailure or Never',
      { passes: 'OnFailure', fails: 'Always' },
      'Required value: valid values: "OnFailure", "Never"',
    ),
  ],
  parts: [
    {
      of: job,
      at: jobs,
      not: {
        'of the Jobs that are made': [
          'spec.selector',
          'spec.selector.*',
          'spec.template.metadata.labels: of the Job',
        ],
      },
    },
  ],
  none: {
    'as its pods have it': ownOfPods(`${jobs}.template`),
    'refused whole': [`${jobs}.selector.*`],
    'of the Jobs that are made, and refused there': ['spec.jobTemplate.metadata.*'],
  },
};
