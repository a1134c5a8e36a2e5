import type { KeyOutcome } from '#base/keyed-queue.ts';
import type { Job } from '#api/generated/objects.ts';
import { jobs } from '#api/schema/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { timeToLiveMs } from './plan.ts';

/** Deletes Jobs whose time to live is over, whoever runs them. */
export function runTtlAfterFinished(context: ControllerContext): Controller {
  const { informers, clock, logger } = context;
  const jobInformer = informers.for(jobs);
  return runController({
    name: 'ttl-after-finished-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [ownKey(jobInformer)],
    reconcile: async (key): Promise<KeyOutcome | void> => {
      const job = jobInformer.get(key);
      if (job === undefined || job.metadata?.deletionTimestamp !== undefined) return undefined;
      const leftMs = timeToLiveMs(job, clock.now());
      if (leftMs === undefined) return undefined;
      if (leftMs > 0) return { kind: 'again', afterMs: leftMs };
      await remove(context, job);
      return undefined;
    },
  });
}

async function remove({ client }: Pick<ControllerContext, 'client'>, { metadata }: Job): Promise<void> {
  const { namespace, name = '', uid, resourceVersion } = metadata ?? {};
  const options = { preconditions: { uid, resourceVersion }, propagationPolicy: 'Foreground' } as const;
  try {
    await client.delete(jobs, { namespace, name }, options);
  } catch (error) {
    // Changed since, as by a longer time to live: the change comes here again.
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}
