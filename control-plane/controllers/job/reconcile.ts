import type { KeyOutcome } from '#base/keyed-queue.ts';
import { findCondition } from '#api/meta/condition.ts';
import { equalJson } from '#api/wire/json.ts';
import { jobs, pods } from '#api/schema/kind-ref.ts';
import type { Job, Pod } from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { isNotFound } from '#client/api-error.ts';
import { source, type Controller, type Source } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { isKindOf } from '#control-plane/controllers/pods/claim.ts';
import { selectorOf } from '#control-plane/controllers/pods/owner-keys.ts';
import { PodOwner } from '#control-plane/controllers/pods/pod-owner.ts';
import { trackingFinalizer } from './count.ts';
import { jobPod } from './job-pod.ts';
import { planJob } from './plan.ts';

/** Our own name in spec.managedBy; a Job of another name is left alone. */
const ownManager = 'kubernetes.io/job-controller';

/** Runs pods until as many as a Job wants have succeeded. */
export function runJobs(context: ControllerContext): Controller {
  const runs = new PodOwner(context, {
    kind: jobs,
    name: 'job-controller',
    selectorOf,
    podIndexes: { tracked: byTrackingJob },
    claims: { finalizer: trackingFinalizer },
  });
  const releaseStrays = async (job: Job | undefined, key: string): Promise<void> => {
    for (const pod of runs.pods.byIndex('tracked', key)) {
      if (job === undefined || controllerRef(pod)?.uid !== job.metadata?.uid) await release(context, pod);
    }
  };
  return runs.run(
    (job, key) => reconcile({ context, runs }, job, key),
    [trackedSource(runs.pods)],
    releaseStrays,
  );
}

interface Loop {
  readonly context: ControllerContext;
  readonly runs: PodOwner<Job>;
}

async function reconcile({ context, runs }: Loop, job: Job, key: string): Promise<KeyOutcome | void> {
  const nowMs = context.clock.now();
  if ((job.spec?.managedBy ?? ownManager) !== ownManager) return undefined;
  const pods = await runs.claim(job);
  const plan = planJob({
    job,
    pods: pods.list(),
    deletedUids: new Set(runs.deletedAmong(key, pods).keys()),
    nowMs,
  });
  if (!equalJson(plan.status, job.status)) {
    const next = { ...job, status: plan.status };
    const written = await context.client.update(jobs, next, { subresource: 'status' });
    runs.owners.observe(written);
    recordChange(runs.recorder, job, written);
  }
  for (const pod of plan.releasePods) await release(context, pod);
  for (const pod of plan.deletePods) await runs.delete(job, key, pod);
  const error = await runs.createAll(job, plan.createPods.length, (nth) => {
    const wanted = plan.createPods[nth];
    return wanted === undefined ? undefined : jobPod(job, wanted);
  });
  if (error !== undefined) throw error;
  return plan.againMs === undefined ? undefined : { kind: 'again', afterMs: plan.againMs };
}

const tooManyMessage = 'Too many succeeded pods running after completion count reached';

function recordChange(recorder: EventRecorder, before: Job, job: Job): void {
  for (const { type, status, reason = type, message = '' } of job.status?.conditions ?? []) {
    if (findCondition(before.status?.conditions, type)?.status === status) continue;
    const regarding = { kind: jobs, object: job };
    if (type === 'Suspended') {
      recorder.record(regarding, 'Normal', status === 'True' ? 'Suspended' : 'Resumed', message);
    } else if (type === 'Complete') {
      if ((job.status?.succeeded ?? 0) > (job.spec?.completions ?? Infinity))
        recorder.record(regarding, 'Warning', 'TooManySucceededPods', tooManyMessage);
      recorder.record(regarding, 'Normal', 'Completed', 'Job completed');
    } else if (type === 'Failed') recorder.record(regarding, 'Warning', reason, message);
  }
}

/**
 * Index of the pods that carry the Job's finalizer, by `namespace/name` of the Job that controls them; those that nobody
 * controls are under `namespace/`, which is no Job: nobody will count them, and the finalizer would keep them for ever.
 * What another kind controls is its own.
 */
function byTrackingJob(pod: Pod): readonly string[] {
  const { namespace = '', finalizers = [] } = pod.metadata ?? {};
  if (!finalizers.includes(trackingFinalizer)) return [];
  const owner = controllerRef(pod);
  if (owner === undefined) return [`${namespace}/`];
  return isKindOf(jobs, owner) ? [`${namespace}/${owner.name}`] : [];
}

/** Pods that come to have nobody to count them. */
function trackedSource(podInformer: WritableInformer<Pod>): Source {
  return source(podInformer, ({ current }) => {
    if (current === undefined || controllerRef(current) !== undefined) return [];
    return byTrackingJob(current);
  });
}

/** Takes the Job's finalizer off a pod. */
async function release({ client, informers }: ControllerContext, pod: Pod): Promise<void> {
  const { namespace, name = '', uid } = pod.metadata ?? {};
  const latest = informers.for(pods).get(`${namespace ?? ''}/${name}`) ?? pod;
  const { finalizers = [], resourceVersion } = latest.metadata ?? {};
  if (latest.metadata?.uid !== uid || !finalizers.includes(trackingFinalizer)) return;
  const kept = finalizers.filter((one) => one !== trackingFinalizer);
  const body = { metadata: { uid, resourceVersion, finalizers: kept.length === 0 ? null : kept } };
  try {
    informers.for(pods).observe(await client.patch(pods, { namespace, name }, { kind: 'merge', body }));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
