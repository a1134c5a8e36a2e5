import { persistentVolumeClaims, pods } from '#api/schema/kind-ref.ts';
import type { Pod } from '#api/generated/objects.ts';
import { claimKeysOfPod } from '#api/volume/claim.ts';
import { describeRefusal, isAlreadyExists } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { countTry } from '#control-plane/controllers/metrics/volume-counts.ts';
import { planEphemeral } from './plan.ts';

/** Makes the claims of pods' ephemeral volumes. */
export function runEphemeralVolumes(context: ControllerContext): Controller {
  const { informers, client, clock, logger, recorder } = context;
  const events = recorder('ephemeral_volume');
  const podInformer = informers.for(pods, { indexes: { claimKey: claimKeysOfPod } });
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
        old?.metadata?.uid !== current?.metadata?.uid && hasEphemeral(current) ? [key] : [],
      ),
      // One that is gone may have been a pod's, or have been in its way.
      source(claimInformer, ({ key, current }) => {
        const users = current === undefined ? podInformer.byIndex('claimKey', key) : [];
        return users.filter(hasEphemeral).map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`);
      }),
    ],
    reconcile: async (key) => {
      const pod = podInformer.get(key);
      if (pod === undefined) return;
      const find = (name: string) => claimInformer.get(`${pod.metadata?.namespace ?? ''}/${name}`);
      const refuse = (volume: string, why: string): void =>
        events.record(
          { kind: pods, object: pod },
          'Warning',
          'FailedBinding',
          `ephemeral volume ${volume}: ${why}`,
        );
      let isRefused = false;
      for (const step of planEphemeral(pod, find)) {
        if (step.kind === 'refuse') {
          isRefused = true;
          refuse(step.volume, step.message);
          continue;
        }
        const { namespace = '', name = '' } = step.claim.metadata ?? {};
        try {
          const create = () => client.create(persistentVolumeClaims, step.claim, { namespace });
          claimInformer.observe(await countTry(context.volumeCounts?.claimsCreated, create));
        } catch (error) {
          if (isAlreadyExists(error)) {
            isRefused = true; // Whose it is the cache will say.
            continue;
          }
          refuse(step.volume, `create PVC ${name}: ${describeRefusal(error)}`);
          throw error;
        }
      }
      return isRefused ? { kind: 'again', afterMs: refusedMs } : undefined;
    },
  });
}

/** A claim in the way may come to be the pod's. */
const refusedMs = 30_000;
