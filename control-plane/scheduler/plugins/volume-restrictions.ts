import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';
import type { Pod } from '#api/generated/objects.ts';
import { claimKeysOfPod } from '#api/volume/claim.ts';
import { hasDisks, haveDiskConflict } from './disk-conflicts.ts';

const inUse = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';

const diskConflict = 'node(s) had no available disk';

/**
 * A disk that a pod names is attached to a node once. A claim of ReadWriteOncePod has one pod in the whole cluster; one of lower priority may
 * have to give it up.
 */
export const volumeRestrictionsFilter: FilterPlugin = {
  name: 'VolumeRestrictions',
  evictionHelps: () => true,
  filter: ({ pod, snapshot: { volumes } }) => {
    const held = volumes === undefined ? [] : heldClaims(pod, volumes);
    const isWithDisks = hasDisks(pod);
    if (held.length === 0 && !isWithDisks) return undefined;
    return (node) => {
      if (isWithDisks && [...node.pods.values()].some((other) => haveDiskConflict(pod, other)))
        return [diskConflict];
      // Of this node the pods are asked, as some of them may be thought away.
      return held.some(
        ({ key, nodeNames }) => nodeNames.some((name) => name !== node.name) || hasUser(node, key),
      )
        ? [inUse]
        : passes;
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'claim') return claimKeysOfPod(pod).includes(event.key);
    if (event.kind !== 'podGone') return false;
    const gone = new Set(claimKeysOfPod(event.pod));
    return claimKeysOfPod(pod).some((key) => gone.has(key)) || haveDiskConflict(pod, event.pod);
  },
};

/** Claims of the pod that are for one pod alone, and the nodes where they are used. */
function heldClaims(
  pod: Pod,
  volumes: VolumeLookUp,
): readonly { readonly key: string; readonly nodeNames: readonly string[] }[] {
  return claimKeysOfPod(pod).flatMap((key) => {
    const isAlone = volumes.claim(key)?.spec?.accessModes?.includes('ReadWriteOncePod') === true;
    const nodeNames = isAlone ? volumes.usedOn(key) : [];
    return nodeNames.length === 0 ? [] : [{ key, nodeNames }];
  });
}

function hasUser({ pods }: NodeInfo, key: string): boolean {
  for (const pod of pods.values()) if (claimKeysOfPod(pod).includes(key)) return true;
  return false;
}
