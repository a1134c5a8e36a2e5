import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { claimKeysOf } from '#api/volume/claim.ts';

const inUse = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';

/** A claim of ReadWriteOncePod has one pod in the whole cluster; one of lower priority may have to give it up. */
export const volumeRestrictionsFilter: FilterPlugin = {
  name: 'VolumeRestrictions',
  evictionHelps: () => true,
  filter: ({ pod, snapshot: { volumes } }) => {
    if (volumes === undefined) return undefined;
    const held = claimKeysOf(pod).flatMap((key) => {
      const isAlone = volumes.claim(key)?.spec?.accessModes?.includes('ReadWriteOncePod') === true;
      const nodeNames = isAlone ? volumes.usedOn(key) : [];
      return nodeNames.length === 0 ? [] : [{ key, nodeNames }];
    });
    if (held.length === 0) return undefined;
    // Of this node the pods are asked, as some of them may be thought away.
    return (node) =>
      held.some(({ key, nodeNames }) => nodeNames.some((name) => name !== node.name) || hasUser(node, key))
        ? [inUse]
        : passes;
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'claim') return claimKeysOf(pod).includes(event.key);
    if (event.kind !== 'podGone') return false;
    const gone = new Set(claimKeysOf(event.pod));
    return claimKeysOf(pod).some((key) => gone.has(key));
  },
};

function hasUser({ pods }: NodeInfo, key: string): boolean {
  for (const pod of pods.values()) if (claimKeysOf(pod).includes(key)) return true;
  return false;
}
