import { expect, it } from 'vitest';
import type { CronJob, Job } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { planCronJob } from './plan.ts';

/*
 * The cases of TestControllerV2SyncCronJob of Kubernetes: a CronJob of each hour, made a minute after one, looked at before the next
 * hour, after it, or a week later.
 */
const minute = 60_000;
const hourMs = Date.UTC(2016, 4, 19, 10);
const createdMs = hourMs - 59 * minute;
const times = { before: hourMs - minute, after: hourMs + minute, weekLater: hourMs + 7 * 24 * 60 * minute };
const policies = { A: 'Allow', F: 'Forbid', R: 'Replace' } as const;
const deadlines = { none: undefined, short: 10, medium: 6 * 3600, long: 1_000_000 } as const;

interface Case {
  readonly ran: 'never' | 'done' | 'active';
  readonly at: keyof typeof times;
  readonly deadline: keyof typeof deadlines;
  readonly policies: string;
  readonly isSuspended?: boolean;
  /** What it does with each of the policies: starts one, of how many active then, and when it looks again. */
  readonly want: string;
}

const toHour = 'again in 60.1 s';
const afterHour = 'again in 3540.1 s';
const hourly = 'again in 3600 s';
const cases: readonly Case[] = [
  { ran: 'never', at: 'before', deadline: 'none', policies: 'AFR', want: toHour },
  { ran: 'never', at: 'after', deadline: 'none', policies: 'AFR', want: `starts, 1 active, ${afterHour}` },
  { ran: 'never', at: 'after', deadline: 'none', policies: 'A', isSuspended: true, want: '' },
  { ran: 'never', at: 'after', deadline: 'short', policies: 'A', want: afterHour },
  { ran: 'never', at: 'after', deadline: 'long', policies: 'A', want: `starts, 1 active, ${afterHour}` },
  { ran: 'done', at: 'before', deadline: 'none', policies: 'AFR', want: `ended, ${toHour}` },
  {
    ran: 'done',
    at: 'after',
    deadline: 'none',
    policies: 'AFR',
    want: `ended, starts, 1 active, ${afterHour}`,
  },
  { ran: 'done', at: 'after', deadline: 'none', policies: 'A', isSuspended: true, want: 'ended' },
  { ran: 'done', at: 'after', deadline: 'short', policies: 'A', want: `ended, ${afterHour}` },
  {
    ran: 'done',
    at: 'after',
    deadline: 'long',
    policies: 'A',
    want: `ended, starts, 1 active, ${afterHour}`,
  },
  { ran: 'active', at: 'before', deadline: 'none', policies: 'AFR', want: `1 active, ${toHour}` },
  { ran: 'active', at: 'after', deadline: 'none', policies: 'A', want: `starts, 2 active, ${afterHour}` },
  {
    ran: 'active',
    at: 'after',
    deadline: 'none',
    policies: 'F',
    want: `JobAlreadyActive, 1 active, ${afterHour}`,
  },
  {
    ran: 'active',
    at: 'after',
    deadline: 'none',
    policies: 'R',
    want: `ends 1, starts, 1 active, ${afterHour}`,
  },
  { ran: 'active', at: 'after', deadline: 'none', policies: 'A', isSuspended: true, want: '1 active' },
  { ran: 'active', at: 'after', deadline: 'short', policies: 'A', want: `1 active, ${afterHour}` },
  { ran: 'active', at: 'after', deadline: 'long', policies: 'A', want: `starts, 2 active, ${afterHour}` },
  {
    ...{ ran: 'done', at: 'weekLater', deadline: 'none', policies: 'AFR' },
    want: `TooManyMissedTimes, ended, starts, 1 active, ${hourly}`,
  },
  {
    ...{ ran: 'done', at: 'weekLater', deadline: 'long', policies: 'AFR' },
    want: `TooManyMissedTimes, ended, starts, 1 active, ${hourly}`,
  },
  {
    ran: 'done',
    at: 'weekLater',
    deadline: 'medium',
    policies: 'AFR',
    want: `ended, starts, 1 active, ${hourly}`,
  },
  {
    ran: 'done',
    at: 'weekLater',
    deadline: 'short',
    policies: 'AFR',
    want: `ended, starts, 1 active, ${hourly}`,
  },
];

const rows = cases.flatMap((one) =>
  (['A', 'F', 'R'] as const)
    .filter((letter) => one.policies.includes(letter))
    .map((letter) => ({ ...one, policy: policies[letter], isSuspended: one.isSuspended === true })),
);

it.each(rows)('$ran, $at, deadline $deadline, $policy, suspended $isSuspended: $want', (row) => {
  const nowMs = times[row.at];
  const last = { name: 'last', uid: 'last' };
  const cronJob: CronJob = {
    metadata: { name: 'cron', namespace: 'a', uid: 'cron', creationTimestamp: formatTime(createdMs) },
    spec: {
      ...{ schedule: '0 * * * *', jobTemplate: { spec: { template: {} } }, suspend: row.isSuspended },
      ...{ concurrencyPolicy: row.policy, startingDeadlineSeconds: deadlines[row.deadline] },
    },
    status: row.ran === 'never' ? {} : { lastScheduleTime: formatTime(hourMs - 60 * minute), active: [last] },
  };
  const ended = [{ type: 'Complete', status: 'True' }];
  const jobs: readonly Job[] =
    row.ran === 'never' ? [] : [{ metadata: last, status: row.ran === 'done' ? { conditions: ended } : {} }];
  const { start, events, replace, status, againMs } = planCronJob({ cronJob, jobs, nowMs });
  const active = (status.active ?? []).length - replace.length + (start === undefined ? 0 : 1);
  const reasons = events.map(({ reason }) => reason);
  const told = [
    ...reasons.filter((reason) => reason !== 'SawCompletedJob'),
    ...(reasons.includes('SawCompletedJob') ? ['ended'] : []),
    ...(replace.length > 0 ? [`ends ${replace.length}`] : []),
    ...(start === undefined ? [] : ['starts']),
    ...(active > 0 ? [`${active} active`] : []),
    ...(againMs === undefined ? [] : [`again in ${againMs / 1000} s`]),
  ];
  expect(told.join(', ')).toBe(row.want);
});
