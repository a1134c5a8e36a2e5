import type { FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import { claimKeysOf } from '#api/volume/claim.ts';

const inUse = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';

/** A claim of ReadWriteOncePod has one pod in the whole cluster. */
export const volumeRestrictionsFilter: FilterPlugin = {
  name: 'VolumeRestrictions',
  filter: ({ pod, snapshot: { volumes } }) => {
    if (volumes === undefined) return undefined;
    const isRefused = claimKeysOf(pod).some(
      (key) =>
        volumes.claim(key)?.spec?.accessModes?.includes('ReadWriteOncePod') === true && volumes.isUsed(key),
    );
    return isRefused ? () => [inUse] : undefined;
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'claim') return claimKeysOf(pod).includes(event.key);
    if (event.kind !== 'podGone') return false;
    const gone = new Set(claimKeysOf(event.pod));
    return claimKeysOf(pod).some((key) => gone.has(key));
  },
};
