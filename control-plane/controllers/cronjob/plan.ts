import { latestTime, nextTime } from '#api/cron/next-time.ts';
import { parseSchedule, type CronSchedule, type InvalidSchedule } from '#api/cron/schedule.ts';
import { formatZonedTime, timeZoneError } from '#api/cron/time-zone.ts';
import { isConditionTrue } from '#api/meta/condition.ts';
import { cronJobs } from '#api/schema/kind-ref.ts';
import type { CronJob, CronJobStatus, Job, ObjectReference } from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { formatTime } from '#api/meta/time.ts';

const scheduledAnnotation = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
/** More missed starts than this are told of, not made up for one by one. */
const missedMax = 100;
/** A timer may ring early (kube-controller-manager's nextScheduleDelta). */
const timerSlackMs = 100;
/** The clock may be set meanwhile, and timers have a longest time. */
const againMaxMs = 3_600_000;

export interface CronState {
  readonly cronJob: CronJob;
  /** Controlled by it. */
  readonly jobs: readonly Job[];
  readonly nowMs: number;
}

export interface CronEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface CronPlan {
  /** Without the job to start. */
  readonly status: CronJobStatus;
  readonly events: readonly CronEvent[];
  /** Still active, and replaced by the one to start: deleted before it is created. */
  readonly replace: readonly ObjectReference[];
  readonly start: CronStart | undefined;
  /** Finished ones beyond the history limits, the oldest first. */
  readonly history: readonly Job[];
  /** When to look again though nothing happens. */
  readonly againMs: number | undefined;
}

export interface CronStart {
  readonly job: Job;
  readonly scheduleTime: string;
}

/** What a CronJob needs now: news of its jobs in its status, and a job when one is due (the latest that is, not each that was missed). */
export function planCronJob(state: CronState): CronPlan {
  const { cronJob } = state;
  const noticed = noticeJobs(state);
  const idle = { ...noticed, replace: [], start: undefined, history: planHistory(state), againMs: undefined };
  const { suspend, timeZone } = cronJob.spec;
  if (cronJob.metadata?.deletionTimestamp !== undefined) return { ...idle, history: [] };
  const warn = (reason: string, message: string): CronPlan => {
    return { ...idle, events: [...noticed.events, { type: 'Warning', reason, message }] };
  };
  const zoneError = timeZone === undefined ? undefined : timeZoneError(timeZone);
  if (zoneError !== undefined)
    return warn('UnknownTimeZone', `invalid timeZone: ${JSON.stringify(timeZone)}: ${zoneError}`);
  if (suspend === true) return idle;
  const { schedule, zone, events } = readSchedule(cronJob);
  if (schedule.kind === 'invalid') {
    const text = JSON.stringify(cronJob.spec.schedule);
    const plan = warn('UnparseableSchedule', `unparseable schedule: ${text} : ${schedule.message}`);
    return { ...plan, events: [...events, ...plan.events] };
  }
  const due = planStart(state, { schedule, zone, status: noticed.status });
  return { ...idle, ...due, events: [...noticed.events, ...events, ...due.events] };
}

interface ReadSchedule {
  readonly schedule: CronSchedule | InvalidSchedule;
  /** By whose clocks. */
  readonly zone: string;
  readonly events: readonly CronEvent[];
}

/** One of the time when that was let pass may name its zone itself, which then counts: `CRON_TZ=Europe/Berlin 0 3 * * *`. */
function readSchedule({ spec: { schedule: text, timeZone = 'UTC' } }: CronJob): ReadSchedule {
  if (!text.includes('TZ')) return { schedule: parseSchedule(text), zone: timeZone, events: [] };
  const message = `CRON_TZ or TZ used in schedule ${JSON.stringify(text)} ${notSupported}`;
  const events: readonly CronEvent[] = [{ type: 'Warning', reason: 'UnsupportedSchedule', message }];
  const { zone = '', rest = '' } = /^(?:CRON_)?TZ=(?<zone>\S*) (?<rest>.*)$/.exec(text)?.groups ?? {};
  const isNamed = /^(?:CRON_)?TZ=/.test(text);
  const error = isNamed ? timeZoneError(zone) : undefined;
  if (error === undefined)
    return { schedule: parseSchedule(isNamed ? rest.trim() : text), zone: isNamed ? zone : timeZone, events };
  const schedule = { kind: 'invalid', message: `provided bad location ${zone}: ${error}` } as const;
  return { schedule, zone, events };
}

const notSupported =
  'is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details';

/** Whether and how a Job has ended. */
export function endOf(job: Job): 'Complete' | 'Failed' | undefined {
  return (['Complete', 'Failed'] as const).find((type) => isConditionTrue(job.status?.conditions, type));
}

/** Those of the status that are not among the jobs have to be asked for: the cache may lag. */
export function lostActive({ status }: CronJob, jobs: readonly Job[]): readonly ObjectReference[] {
  const uids = new Set(jobs.map(({ metadata }) => metadata?.uid));
  return (status?.active ?? []).filter(({ uid }) => !uids.has(uid));
}

function noticeJobs({ cronJob, jobs }: CronState): Pick<CronPlan, 'status' | 'events'> {
  const events: CronEvent[] = [];
  const before = cronJob.status?.active ?? [];
  const gone = new Set(lostActive(cronJob, jobs).map(({ uid }) => uid));
  for (const { uid, name } of before) {
    if (gone.has(uid))
      events.push({ type: 'Normal', reason: 'MissingJob', message: `Active job went missing: ${name}` });
  }
  let { lastSuccessfulTime } = cronJob.status ?? {};
  for (const job of jobs) {
    const { uid = '', name } = job.metadata ?? {};
    const end = endOf(job);
    const isActive = before.some((one) => one.uid === uid);
    if (isActive && end !== undefined) {
      gone.add(uid);
      const message = `Saw completed job: ${name}, condition: ${end}`;
      events.push({ type: 'Normal', reason: 'SawCompletedJob', message });
    } else if (!isActive && end === undefined) {
      const message = `Saw a job that the controller did not create or forgot: ${name}`;
      events.push({ type: 'Warning', reason: 'UnexpectedJob', message });
    }
    const endedAt = end === 'Complete' ? job.status?.completionTime : undefined;
    if (endedAt !== undefined && (lastSuccessfulTime === undefined || endedAt > lastSuccessfulTime)) {
      lastSuccessfulTime = endedAt;
    }
  }
  const active = before.filter(({ uid }) => !gone.has(uid));
  return {
    events,
    status: { ...cronJob.status, active: active.length === 0 ? undefined : active, lastSuccessfulTime },
  };
}

type Due = Pick<CronPlan, 'events' | 'replace' | 'start' | 'againMs'>;

function planStart(
  { cronJob, nowMs }: CronState,
  {
    schedule,
    zone,
    status,
  }: { readonly schedule: CronSchedule; readonly zone: string; readonly status: CronJobStatus },
): Due {
  const { startingDeadlineSeconds, concurrencyPolicy } = cronJob.spec;
  const { lastScheduleTime } = cronJob.status ?? {};
  const begunMs = Date.parse(lastScheduleTime ?? cronJob.metadata?.creationTimestamp ?? '') || nowMs;
  const deadlineMs =
    startingDeadlineSeconds === undefined ? -Infinity : nowMs - startingDeadlineSeconds * 1000;
  const afterMs = Math.max(begunMs, deadlineMs);
  const dueMs = latestTime(schedule, zone, { afterMs, untilMs: nowMs });
  const nextMs = nextTime(schedule, zone, dueMs ?? afterMs);
  const againMs =
    nextMs === undefined ? undefined : Math.min(againMaxMs, Math.max(0, nextMs - nowMs) + timerSlackMs);
  const nothing: Due = { events: [], replace: [], start: undefined, againMs };
  if (nextMs === undefined && dueMs === undefined) {
    const message = `invalid schedule: ${cronJob.spec.schedule} : ${neverMessage}`;
    return { ...nothing, events: [{ type: 'Warning', reason: 'InvalidSchedule', message }] };
  }
  if (dueMs === undefined) return nothing;
  const events = isBeyondMissed(schedule, zone, { afterMs, untilMs: nowMs }) ? [tooManyMissed] : [];
  const start = { job: jobOf(cronJob, dueMs), scheduleTime: formatTime(dueMs) };
  const { active = [] } = status;
  if (active.some(({ name }) => name === start.job.metadata?.name)) return nothing;
  if (concurrencyPolicy === 'Forbid' && active.length > 0)
    return { ...nothing, events: [...events, alreadyActive] };
  return { events, replace: concurrencyPolicy === 'Replace' ? active : [], start, againMs };
}

/** Of a schedule without any time, as of 30 February, in kube-controller-manager's words. */
const neverMessage = 'time difference between two schedules is less than 1 second';
const tooManyMissed: CronEvent = {
  type: 'Warning',
  reason: 'TooManyMissedTimes',
  message: 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
};
const alreadyActive: CronEvent = {
  type: 'Normal',
  reason: 'JobAlreadyActive',
  message: 'Not starting job because prior execution is running and concurrency policy is Forbid',
};

function isBeyondMissed(
  schedule: CronSchedule,
  zone: string,
  { afterMs, untilMs }: { readonly afterMs: number; readonly untilMs: number },
): boolean {
  let atMs: number | undefined = afterMs;
  for (let count = 0; count <= missedMax; count++) {
    atMs = nextTime(schedule, zone, atMs);
    if (atMs === undefined || atMs > untilMs) return false;
  }
  return true;
}

/** The same time always makes a job of the same name, so that it is started once. */
function jobOf(cronJob: CronJob, dueMs: number): Job {
  const { metadata, spec } = cronJob.spec.jobTemplate;
  const { namespace, name = '' } = cronJob.metadata ?? {};
  return {
    metadata: {
      name: `${name}-${Math.floor(dueMs / 60_000)}`,
      namespace,
      labels: metadata?.labels,
      annotations: {
        ...metadata?.annotations,
        [scheduledAnnotation]: formatZonedTime(cronJob.spec.timeZone ?? 'UTC', dueMs),
      },
      ownerReferences: [ownerReference(cronJob, cronJobs)],
    },
    spec,
  };
}

function planHistory({ cronJob, jobs }: CronState): readonly Job[] {
  const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = cronJob.spec;
  const beyond = (end: 'Complete' | 'Failed', limit: number | undefined): readonly Job[] => {
    const ended = jobs
      .filter((job) => endOf(job) === end)
      .toSorted((a, b) => (startKey(a) < startKey(b) ? -1 : 1));
    return limit === undefined ? [] : ended.slice(0, Math.max(0, ended.length - limit));
  };
  return [...beyond('Complete', successfulJobsHistoryLimit), ...beyond('Failed', failedJobsHistoryLimit)];
}

/** Those that never began come last; of those that began together the names decide. */
function startKey({ metadata, status }: Job): string {
  return `${status?.startTime ?? '~'} ${metadata?.name ?? ''}`;
}
