import { expect, it } from 'vitest';
import type { CronJob, CronJobSpec, CronJobStatus, Job } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { planCronJob } from './plan.ts';

const nowMs = Date.UTC(2026, 0, 2, 12, 0, 30);
const minutesAgo = (minutes: number): string => formatTime(nowMs - 30_000 - minutes * 60_000);

function cronOf(spec: Partial<CronJobSpec>, status: CronJobStatus = {}): CronJob {
  const jobTemplate = { metadata: { labels: { a: 'b' } }, spec: { template: {} } };
  return {
    metadata: { name: 'cron', namespace: 'default', uid: 'cron', creationTimestamp: minutesAgo(1) },
    spec: {
      schedule: '* * * * *',
      jobTemplate,
      successfulJobsHistoryLimit: 2,
      failedJobsHistoryLimit: 1,
      ...spec,
    },
    status,
  };
}

/** `a` runs, `a+` is complete, `a!` has failed; their order is that of their starts. */
function jobsOf(text: string): readonly Job[] {
  return text
    .split(' ')
    .filter(Boolean)
    .map((mark, index) => {
      const name = mark.replace(/\W/, '');
      const type = mark.endsWith('+') ? 'Complete' : mark.endsWith('!') ? 'Failed' : undefined;
      const at = minutesAgo(60 - index);
      return {
        metadata: { name, uid: name },
        status: {
          startTime: at,
          ...(type === 'Complete' ? { completionTime: at } : {}),
          conditions: type === undefined ? [] : [{ type, status: 'True' }],
        },
      };
    });
}

const activeOf = (...names: readonly string[]) => ({ active: names.map((name) => ({ name, uid: name })) });
const minute = Math.floor(nowMs / 60_000);
const toNextMinute = 30_100;

const rows: readonly {
  readonly name: string;
  readonly spec?: Partial<CronJobSpec>;
  readonly status?: CronJobStatus;
  readonly jobs?: string;
  readonly want: Readonly<Record<string, string | number>>;
}[] = [
  { name: 'starts what is due', want: { start: `cron-${minute}`, again: toNextMinute } },
  { name: 'starts once', status: { lastScheduleTime: minutesAgo(0) }, want: { again: toNextMinute } },
  {
    name: 'starts the latest of those missed',
    status: { lastScheduleTime: minutesAgo(50) },
    want: { start: `cron-${minute}`, again: toNextMinute },
  },
  {
    name: 'tells of too many missed',
    status: { lastScheduleTime: minutesAgo(200) },
    want: { start: `cron-${minute}`, again: toNextMinute, events: 'TooManyMissedTimes' },
  },
  {
    name: 'startingDeadlineSeconds: what is too late is not started',
    spec: { schedule: '0 * * * *', startingDeadlineSeconds: 20 },
    status: { lastScheduleTime: minutesAgo(120) },
    want: { again: 3_570_100 },
  },
  {
    name: 'startingDeadlineSeconds: limits what was missed',
    spec: { startingDeadlineSeconds: 200 },
    status: { lastScheduleTime: minutesAgo(200) },
    want: { start: `cron-${minute}`, again: toNextMinute },
  },
  { name: 'is suspended', spec: { suspend: true }, want: {} },
  { name: 'looks again within an hour', spec: { schedule: '@yearly' }, want: { again: 3_600_000 } },
  { name: 'never comes', spec: { schedule: '0 0 30 2 *' }, want: { events: 'InvalidSchedule' } },
  {
    name: 'by the clocks of a zone',
    spec: { schedule: '0 21 * * *', timeZone: 'Asia/Tokyo' },
    want: { start: `cron-${minute}`, again: 3_600_000, at: '2026-01-02T21:00:00+09:00' },
  },
  { name: 'a zone that is none', spec: { timeZone: 'Mars/Base' }, want: { events: 'UnknownTimeZone' } },
  {
    name: 'a schedule of before that names its zone',
    spec: { schedule: 'CRON_TZ=Asia/Tokyo 0 21 * * *', timeZone: 'Europe/Berlin' },
    want: { start: `cron-${minute}`, again: 3_600_000, events: 'UnsupportedSchedule' },
  },
  {
    name: 'a schedule of before that names a zone that is none',
    spec: { schedule: 'TZ=Mars/Base 0 21 * * *' },
    want: { events: 'UnsupportedSchedule UnparseableSchedule' },
  },
  { name: 'a schedule that is none', spec: { schedule: 'x' }, want: { events: 'UnparseableSchedule' } },
  {
    name: 'Allow',
    spec: { concurrencyPolicy: 'Allow' },
    status: activeOf('a'),
    jobs: 'a',
    want: { start: `cron-${minute}`, again: toNextMinute, active: 'a' },
  },
  {
    name: 'Forbid',
    spec: { concurrencyPolicy: 'Forbid' },
    status: activeOf('a'),
    jobs: 'a',
    want: { again: toNextMinute, active: 'a', events: 'JobAlreadyActive' },
  },
  {
    name: 'Forbid, when the one before has just ended',
    spec: { concurrencyPolicy: 'Forbid' },
    status: activeOf('a'),
    jobs: 'a!',
    want: { start: `cron-${minute}`, again: toNextMinute, events: 'SawCompletedJob' },
  },
  {
    name: 'Replace',
    spec: { concurrencyPolicy: 'Replace' },
    status: activeOf('a'),
    jobs: 'a',
    want: { start: `cron-${minute}`, again: toNextMinute, active: 'a', replace: 'a' },
  },
  {
    name: 'does not replace what it has just started',
    spec: { concurrencyPolicy: 'Replace' },
    status: activeOf(`cron-${minute}`),
    jobs: '',
    want: { start: `cron-${minute}`, again: toNextMinute, events: 'MissingJob' },
  },
  {
    name: 'notes the last success, jobs that are gone, and strangers',
    spec: { suspend: true },
    status: activeOf('a', 'b', 'z'),
    jobs: 'a+ b c d+',
    want: { active: 'b', success: minutesAgo(57), events: 'MissingJob SawCompletedJob UnexpectedJob' },
  },
  {
    name: 'removes the oldest beyond the limits',
    spec: { suspend: true },
    status: { lastSuccessfulTime: minutesAgo(0) },
    jobs: 'a+ b! c+ d! e+ f!',
    want: { success: minutesAgo(0), history: 'a b d' },
  },
];

it.each(rows)('planCronJob() $name', ({ spec = {}, status, jobs = '', want }) => {
  const plan = planCronJob({ cronJob: cronOf(spec, status), jobs: jobsOf(jobs), nowMs });
  const names = (list: readonly { readonly name?: string | undefined }[] = []): string =>
    list.map(({ name }) => name).join(' ');
  const annotations = plan.start?.job.metadata?.annotations ?? {};
  const told = {
    start: plan.start?.job.metadata?.name,
    at: want['at'] === undefined ? undefined : annotations['batch.kubernetes.io/cronjob-scheduled-timestamp'],
    replace: names(plan.replace),
    active: names(plan.status.active),
    success: plan.status.lastSuccessfulTime,
    history: names(plan.history.map(({ metadata }) => metadata ?? {})),
    events: plan.events.map(({ reason }) => reason).join(' '),
    again: plan.againMs,
  };
  expect(
    Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined && value !== '')),
  ).toEqual(want);
});

it('planCronJob() removes those that began first, by name of those that began together, and last those that never did', () => {
  const ended = (name: string, startTime?: string): Job => ({
    metadata: { name },
    status: { conditions: [{ type: 'Complete', status: 'True' }], ...(startTime ? { startTime } : {}) },
  });
  const later = minutesAgo(1);
  const jobs = [
    ended('e'),
    ended('d'),
    ended('a', later),
    ended('c', minutesAgo(2)),
    ended('b', minutesAgo(2)),
  ];
  const cronJob = cronOf({ suspend: true, successfulJobsHistoryLimit: 0 });
  const { history } = planCronJob({ cronJob, jobs, nowMs });
  expect(history.map(({ metadata }) => metadata?.name)).toEqual(['b', 'c', 'a', 'd', 'e']);
});

it('planCronJob() makes the job of the template, owned by the CronJob', () => {
  const { start } = planCronJob({ cronJob: cronOf({}), jobs: [], nowMs });
  expect(start).toEqual({
    scheduleTime: minutesAgo(0),
    job: {
      metadata: {
        name: `cron-${minute}`,
        namespace: 'default',
        labels: { a: 'b' },
        annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': minutesAgo(0) },
        ownerReferences: [
          {
            apiVersion: 'batch/v1',
            kind: 'CronJob',
            name: 'cron',
            uid: 'cron',
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
      spec: { template: {} },
    },
  });
});
