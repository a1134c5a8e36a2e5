import type { Pod } from '#api/generated/objects.ts';
import { claimClass, claimKeysOfPod } from '#api/volume/claim.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';

const tooMany = 'node(s) exceed max volume count';

/** A node has no more volumes of a driver than the driver can attach to it (NodeVolumeLimits of kube-scheduler). */
export const volumeLimitsFilter: FilterPlugin = {
  name: 'NodeVolumeLimits',
  evictionHelps: (_pod, _node, reasons) => reasons.includes(tooMany),
  filter: ({ pod, snapshot: { volumes } }) => {
    if (volumes?.csiNode === undefined) return undefined;
    const { csiNode, csiDriver } = volumes;
    const wanted = volumesOf(pod, volumes);
    if (wanted.size === 0) return undefined;
    const drivers = new Set(wanted.values());
    return ({ name, pods }) => {
      const said = csiNode(name)?.spec.drivers ?? [];
      for (const driver of drivers) {
        const found = said.find((one) => one.name === driver);
        if (found === undefined && csiDriver?.(driver)?.spec.preventPodSchedulingIfMissing === true)
          return [`${driver} CSI driver is not installed on the node`];
        const countMax = found?.allocatable?.count;
        if (countMax === undefined) continue;
        const there = new Set<string>();
        for (const other of pods.values())
          for (const [volume, its] of volumesOf(other, volumes)) if (its === driver) there.add(volume);
        const before = there.size;
        for (const [volume, its] of wanted) if (its === driver) there.add(volume);
        // What is there already costs nothing more, though it were too many.
        if (there.size > before && there.size > countMax) return [tooMany];
      }
      return passes;
    };
  },
  mayHelp: (pod, event) => {
    if (event.kind === 'csiNode' || event.kind === 'csiDriver') return true;
    if (event.kind === 'claim') return claimKeysOfPod(pod).includes(event.key);
    return event.kind === 'podGone' && claimKeysOfPod(event.pod).length > 0;
  },
};

/** Volumes of drivers that a pod uses, each with its driver; one that is not made yet is its claim's. */
function volumesOf(pod: Pod, look: VolumeLookUp): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const key of claimKeysOfPod(pod)) {
    const claim = look.claim(key);
    if (claim === undefined) continue;
    const name = claim.spec?.volumeName ?? '';
    const csi = name === '' ? undefined : look.volume(name)?.spec?.csi;
    if (csi !== undefined) found.set(`${csi.driver}^${csi.volumeHandle}`, csi.driver);
    else if (name === '') {
      const driver = look.storageClass(claimClass(claim) ?? '')?.provisioner;
      if (driver !== undefined) found.set(`claim ${key}`, driver);
    }
  }
  return found;
}
