import type { KeyOutcome } from '#base/keyed-queue.ts';
import { findCondition } from '#api/meta/condition.ts';
import { equalJson } from '#api/wire/json.ts';
import { jobs, pods } from '#api/schema/kind-ref.ts';
import type { Job, Pod } from '#api/generated/objects.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { labelSelectorFromObject } from '#api/meta/selector.ts';
import { describeRefusal, isConflict, isNamespaceTerminating, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, source, type Controller, type Source } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { byController } from '#control-plane/controllers/pods/by-controller.ts';
import { claim, isKindOf } from '#control-plane/controllers/pods/claim.ts';
import { createDeletedPods } from '#control-plane/controllers/pods/deleted-pods.ts';
import { byNamespace, ownedSource } from '#control-plane/controllers/pods/owner-keys.ts';
import { slowStart } from '#control-plane/controllers/pods/slow-start.ts';
import { trackingFinalizer } from './count.ts';
import { jobPod } from './job-pod.ts';
import { planJob, timeToLiveMs } from './plan.ts';

/** Our own name in spec.managedBy; a Job of another name is left alone. */
const ownManager = 'kubernetes.io/job-controller';

/** Runs pods until as many as a Job wants have succeeded. */
export function runJobs(context: ControllerContext): Controller {
  const { informers, clock, logger, client } = context;
  const owners = informers.for(jobs, { indexes: { namespace: byNamespace } });
  const podInformer = informers.for(pods, { indexes: { controller: byController, tracked: byTrackingJob } });
  const deleted = createDeletedPods();
  const recorder = context.recorder('job-controller');

  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const job = owners.get(key);
    for (const pod of podInformer.byIndex('tracked', key)) {
      if (job === undefined || controllerRef(pod)?.uid !== job.metadata?.uid) await release(context, pod);
    }
    if (job === undefined) return deleted.forget(key);
    const { namespace, name = '', uid, deletionTimestamp } = job.metadata ?? {};
    const leftMs = timeToLiveMs(job, clock.now());
    if (leftMs !== undefined && leftMs <= 0 && deletionTimestamp === undefined) {
      return remove(context, { namespace, name }, uid);
    }
    if ((job.spec?.managedBy ?? ownManager) !== ownManager) {
      return leftMs === undefined ? undefined : { kind: 'again', afterMs: leftMs };
    }
    const ownerKind = jobs;
    const claimer = { client, ownerKind, kind: pods, informer: podInformer, finalizer: trackingFinalizer };
    const owned = await claim(claimer, job, labelSelectorFromObject(job.spec?.selector));
    if (deletionTimestamp !== undefined) {
      // Nobody counts any more: the pods must be able to go.
      for (const pod of owned) await release(context, pod);
      return undefined;
    }
    const deletedUids = deleted.still(key, owned);
    const plan = planJob({ job, pods: owned, deletedUids, nowMs: clock.now() });
    if (!equalJson(plan.status, job.status)) {
      const written = await client.update(jobs, { ...job, status: plan.status }, { subresource: 'status' });
      owners.observe(written);
      recordChange(job, written);
    }
    for (const pod of plan.releasePods) await release(context, pod);
    for (const pod of plan.deletePods) {
      await deleted.delete(client, key, pod);
      recorder.record(
        { kind: jobs, object: job },
        'Normal',
        'SuccessfulDelete',
        `Deleted pod: ${pod.metadata?.name ?? ''}`,
      );
    }
    const { error } = await slowStart(plan.createPods.length, async (nth) => {
      const wanted = plan.createPods[nth];
      if (wanted === undefined) return;
      const created = await client.create(pods, jobPod(job, wanted)).catch((refusal: unknown) => {
        const text = `Error creating: ${describeRefusal(refusal)}`;
        if (!isNamespaceTerminating(refusal)) {
          recorder.record({ kind: jobs, object: job }, 'Warning', 'FailedCreate', text);
        }
        throw refusal;
      });
      podInformer.observe(created);
      const message = `Created pod: ${created.metadata?.name ?? ''}`;
      recorder.record({ kind: jobs, object: job }, 'Normal', 'SuccessfulCreate', message);
    });
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    return plan.againMs === undefined ? undefined : { kind: 'again', afterMs: plan.againMs };
  };
  const recordChange = (before: Job, job: Job): void => {
    for (const { type, status, reason = type, message = '' } of job.status?.conditions ?? []) {
      if (findCondition(before.status?.conditions, type)?.status === status) continue;
      const regarding = { kind: jobs, object: job };
      if (type === 'Suspended') {
        recorder.record(regarding, 'Normal', status === 'True' ? 'Suspended' : 'Resumed', message);
      } else if (type === 'Complete') recorder.record(regarding, 'Normal', 'Completed', 'Job completed');
      else if (type === 'Failed') recorder.record(regarding, 'Warning', reason, message);
    }
  };
  return runController({
    name: 'job-controller',
    clock,
    logger,
    sources: [ownKey(owners), ownedSource(jobs, owners, podInformer), trackedSource(podInformer)],
    reconcile,
  });
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

async function remove(
  { client }: ControllerContext,
  where: { readonly namespace: string | undefined; readonly name: string },
  uid: string | undefined,
): Promise<void> {
  try {
    await client.delete(jobs, where, { preconditions: { uid }, propagationPolicy: 'Foreground' });
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
