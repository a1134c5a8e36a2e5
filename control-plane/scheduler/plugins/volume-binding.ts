import type { Node } from '#api/generated/objects.ts';
import { volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { changesOf } from '#control-plane/scheduler/cluster-event.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import { claimKeysOfPod } from '#api/volume/claim.ts';
import { claimsFor, planVolumes } from '#control-plane/scheduler/volumes/plan-volumes.ts';

/** What of a node says which volumes it can have. */
function placesVolumes({ metadata }: Node): unknown {
  return [metadata?.labels, metadata?.annotations?.[volumesDirectoryAnnotation]];
}

/** A pod goes where its volumes are, or can be made. */
export const volumeBindingFilter: FilterPlugin = {
  name: 'VolumeBinding',
  refuseAll: ({ pod, snapshot: { volumes } }) => {
    const keys = claimKeysOfPod(pod);
    if (keys.length === 0) return undefined;
    if (volumes === undefined) return `persistentvolumeclaim ${JSON.stringify(keys[0])} not found`;
    const claims = claimsFor(pod, volumes);
    return typeof claims === 'string' ? claims : undefined;
  },
  filter: ({ pod, snapshot: { volumes } }) => {
    if (volumes === undefined || claimKeysOfPod(pod).length === 0) return undefined;
    const claims = claimsFor(pod, volumes);
    if (typeof claims === 'string') return () => [claims];
    return ({ node }) => {
      const plan = planVolumes(claims, node, volumes);
      return 'reasons' in plan ? plan.reasons : passes;
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'claim') return claimKeysOfPod(pod).includes(event.key);
    if (event.kind === 'node') return changesOf(event, placesVolumes);
    return event.kind === 'volume' || event.kind === 'capacity' || event.kind === 'csiDriver';
  },
};
