import type { KeyOutcome } from '#base/keyed-queue.ts';
import { equalJson } from '#api/wire/json.ts';
import { apiVersionOf, cronJobs, jobs } from '#api/schema/kind-ref.ts';
import type { CronJob, CronJobStatus, Job, ObjectReference } from '#api/generated/objects.ts';
import { isControlledBy } from '#api/meta/owner.ts';
import {
  describeRefusal,
  isAlreadyExists,
  isConflict,
  isNamespaceTerminating,
  isNotFound,
} from '#client/api-error.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { byNamespace, ownedSource } from '#control-plane/controllers/pods/owner-keys.ts';
import { endOf, lostActive, planCronJob, type CronEvent, type CronPlan } from './plan.ts';

interface Loop {
  readonly context: ControllerContext;
  readonly owners: WritableInformer<CronJob>;
  readonly jobInformer: WritableInformer<Job>;
  readonly record: (object: CronJob, event: CronEvent) => void;
  /** The schedule and zone that each was last seen with, by `namespace/name`. */
  readonly schedules: Map<string, string>;
}

/** Starts Jobs when they are due. */
export function runCronJobs(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const owners = informers.for(cronJobs, { indexes: { namespace: byNamespace } });
  const jobInformer = informers.for(jobs, { indexes: { controller: byController } });
  const recorder = context.recorder('cronjob-controller');
  const record = (object: CronJob, { type, reason, message }: CronEvent): void =>
    recorder.record({ kind: cronJobs, object }, type, reason, message);
  const loop: Loop = { context, owners, jobInformer, record, schedules: new Map() };
  return runController({
    name: 'cronjob-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [ownKey(owners), ownedSource(cronJobs, owners, jobInformer)],
    reconcile: (key) => reconcile(loop, key),
  });
}

async function reconcile(loop: Loop, key: string): Promise<KeyOutcome | void> {
  const { context, owners, jobInformer, record } = loop;
  const cronJob = owners.get(key);
  const isRescheduled = noteSchedule(loop, key, cronJob);
  if (cronJob === undefined) return;
  const known = jobInformer.byIndex('controller', cronJob.metadata?.uid ?? '');
  const found = await Promise.all(lostActive(cronJob, known).map((one) => readJob(context, one)));
  const all = [...known, ...found.flatMap((job) => (job === undefined ? [] : [job]))];
  const plan = planCronJob({ cronJob, jobs: all, nowMs: context.clock.now() });
  // A new schedule counts from its next time on: one that it would have had before it was written is not made up for.
  if (isRescheduled && plan.againMs !== undefined) return { kind: 'again', afterMs: plan.againMs };
  for (const event of plan.events) record(cronJob, event);
  const { status, failed } = await start(loop, cronJob, plan);
  // What was seen is told whatever else failed, so that it is not seen again.
  if (!equalJson(status, cronJob.status)) {
    const next = { ...cronJob, status };
    owners.observe(await context.client.update(cronJobs, next, { subresource: 'status' }));
  }
  for (const { metadata } of plan.history) {
    await remove(loop, cronJob, { name: metadata?.name, namespace: metadata?.namespace, uid: metadata?.uid });
  }
  if (failed !== undefined) throw failed.error;
  return plan.againMs === undefined ? undefined : { kind: 'again', afterMs: plan.againMs };
}

/** Whether the schedule is another than it was. */
function noteSchedule({ schedules }: Loop, key: string, cronJob: CronJob | undefined): boolean {
  if (cronJob === undefined) {
    schedules.delete(key);
    return false;
  }
  const before = schedules.get(key);
  const { schedule, timeZone = '' } = cronJob.spec;
  schedules.set(key, `${schedule} ${timeZone}`);
  return before !== undefined && before !== schedules.get(key);
}

/** The status after what is due was started, or as much of that as could be done. */
interface Started {
  readonly status: CronJob['status'];
  readonly failed?: { readonly error: unknown };
}

async function start(loop: Loop, cronJob: CronJob, plan: CronPlan): Promise<Started> {
  if (plan.start === undefined) return { status: plan.status };
  const replaced = new Set<ObjectReference>();
  const kept = (): readonly ObjectReference[] =>
    (plan.status.active ?? []).filter((one) => !replaced.has(one));
  const withActive = (active: readonly ObjectReference[]): CronJobStatus => ({
    ...plan.status,
    active: active.length === 0 ? undefined : active,
  });
  try {
    for (const one of plan.replace) {
      await replace(loop, cronJob, one);
      replaced.add(one);
    }
    const job = await create(loop, cronJob, plan.start.job);
    if (job === undefined) return { status: withActive(kept()) };
    const isNew = endOf(job) === undefined && !kept().some(({ uid }) => uid === job.metadata?.uid);
    const active = isNew ? [...kept(), referenceTo(job)] : kept();
    return { status: { ...withActive(active), lastScheduleTime: plan.start.scheduleTime } };
  } catch (error) {
    return { status: withActive(kept()), failed: { error } };
  }
}

/** It is read first, so that it is told which of both fails. */
async function replace(loop: Loop, cronJob: CronJob, one: ObjectReference): Promise<void> {
  try {
    await readJob(loop.context, one);
  } catch (error) {
    const message = `Get job: ${describeRefusal(error)}`;
    loop.record(cronJob, { type: 'Warning', reason: 'FailedGet', message });
    throw error;
  }
  await remove(loop, cronJob, one);
}

async function create(
  { context, jobInformer, record }: Loop,
  cronJob: CronJob,
  wanted: Job,
): Promise<Job | undefined> {
  try {
    const job = await context.client.create(jobs, wanted);
    jobInformer.observe(job);
    const message = `Created job ${job.metadata?.name ?? ''}`;
    record(cronJob, { type: 'Normal', reason: 'SuccessfulCreate', message });
    return job;
  } catch (error) {
    if (isNamespaceTerminating(error)) return undefined;
    if (isAlreadyExists(error)) {
      const job = await readJob(context, wanted.metadata ?? {});
      // Made by us before, and not noted; one of somebody else has the place of that time, and counts for nothing.
      if (job !== undefined) return isControlledBy(job, cronJob.metadata?.uid) ? job : undefined;
    }
    const message = `Error creating job: ${describeRefusal(error)}`;
    record(cronJob, { type: 'Warning', reason: 'FailedCreate', message });
    throw error;
  }
}

async function remove(
  { context, record }: Loop,
  cronJob: CronJob,
  { namespace, name = '', uid }: ObjectReference,
): Promise<void> {
  const options = { preconditions: { uid }, propagationPolicy: 'Background' } as const;
  try {
    await context.client.delete(jobs, { namespace, name }, options);
    record(cronJob, { type: 'Normal', reason: 'SuccessfulDelete', message: `Deleted job ${name}` });
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return;
    const message = `Deleted job: ${describeRefusal(error)}`;
    record(cronJob, { type: 'Warning', reason: 'FailedDelete', message });
    throw error;
  }
}

async function readJob(
  { client }: ControllerContext,
  { namespace, name = '' }: ObjectReference,
): Promise<Job | undefined> {
  try {
    return await client.get(jobs, { namespace, name });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function referenceTo({ metadata }: Job): ObjectReference {
  const { namespace, name, uid, resourceVersion } = metadata ?? {};
  return { apiVersion: apiVersionOf(jobs), kind: jobs.kind, namespace, name, uid, resourceVersion };
}
