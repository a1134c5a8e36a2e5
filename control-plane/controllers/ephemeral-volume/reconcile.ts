import { persistentVolumeClaims, pods } from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import { isAlreadyExists } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { planEphemeral } from './plan.ts';

/** Makes the claims of pods' ephemeral volumes. */
export function runEphemeralVolumes(context: ControllerContext): Controller {
  const { informers, client, clock, logger, recorder } = context;
  const events = recorder('ephemeral-volume-controller');
  const podInformer = informers.for(pods);
  const claimInformer = informers.for(persistentVolumeClaims);
  const hasEphemeral = (pod: Pod | undefined): boolean =>
    pod?.spec?.volumes?.some(({ ephemeral }) => ephemeral !== undefined) === true;
  return runController({
    name: 'ephemeral-volume-controller',
    clock,
    logger,
    concurrencyMax: context.syncsMax,
    sources: [
      source(podInformer, ({ key, old, current }) =>
        old === undefined && hasEphemeral(current) ? [key] : [],
      ),
      // One that is gone may have been a pod's, or have been in its way.
      source(claimInformer, ({ old, current }) => {
        if (current !== undefined) return [];
        const namespace = old?.metadata?.namespace ?? '';
        const owners = old?.metadata?.ownerReferences ?? [];
        return owners.filter(({ kind }) => kind === 'Pod').map(({ name }) => `${namespace}/${name}`);
      }),
    ],
    reconcile: async (key) => {
      const pod = podInformer.get(key);
      if (pod === undefined) return;
      const find = (name: string) => claimInformer.get(`${pod.metadata?.namespace ?? ''}/${name}`);
      let isRefused = false;
      for (const step of planEphemeral(pod, find)) {
        if (step.kind === 'refuse') {
          isRefused = true;
          events.record(
            { kind: pods, object: pod },
            'Warning',
            'FailedBinding',
            `ephemeral volume: ${step.message}`,
          );
          continue;
        }
        try {
          const { namespace = '' } = step.claim.metadata ?? {};
          claimInformer.observe(await client.create(persistentVolumeClaims, step.claim, { namespace }));
        } catch (error) {
          if (!isAlreadyExists(error)) throw error;
        }
      }
      return isRefused ? { kind: 'again', afterMs: refusedMs } : undefined;
    },
  });
}

/** A claim in the way may be taken away by somebody. */
const refusedMs = 30_000;
