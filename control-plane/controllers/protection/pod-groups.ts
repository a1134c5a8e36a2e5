import { podGroups, pods } from '#api/schema/kind-ref.ts';
import { livePodGroupKeys, podGroupFinalizer } from '#api/pod/scheduling-group.ts';
import { ownKey, runController, source, type Controller } from '#client/controller.ts';
import { listAll } from '#client/list-all.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { protect } from './protect.ts';

/** Keeps PodGroups while pods of theirs have not ended (podgroup-protection-controller of kube-controller-manager 1.36). */
export function runPodGroupProtection(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const groupInformer = informers.for(podGroups);
  const podInformer = informers.for(pods, { indexes: { livePodGroup: livePodGroupKeys } });
  return runController({
    name: 'podgroup-protection-controller',
    clock,
    logger,
    sources: [
      ownKey(groupInformer),
      source(podInformer, ({ old, current }) => {
        const [before = [], now = []] = [old, current].map((pod) =>
          pod === undefined ? [] : livePodGroupKeys(pod),
        );
        return [...new Set([...before, ...now])].filter((key) => before.includes(key) !== now.includes(key));
      }),
    ],
    reconcile: async (key) => {
      const group = groupInformer.get(key);
      if (group === undefined) return;
      const isSeenUsed = podInformer.byIndex('livePodGroup', key).length > 0;
      // One without pods has nothing to be kept for.
      if (group.metadata?.deletionTimestamp === undefined && !isSeenUsed) return;
      const namespace = group.metadata?.namespace;
      await protect(context, {
        ...{ kind: podGroups, object: group, finalizer: podGroupFinalizer },
        isSeenUsed: () => isSeenUsed,
        isUsed: async () =>
          (await listAll(client, pods, { namespace })).items.some((pod) =>
            livePodGroupKeys(pod).includes(key),
          ),
      });
    },
  });
}
