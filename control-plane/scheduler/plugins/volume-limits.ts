import type { Pod } from '#api/generated/objects.ts';
import { claimClass, claimKeysOfPod } from '#api/volume/claim.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';

const tooMany = 'node(s) exceed max volume count';

/**
 * A node has no more volumes of a driver than the driver can attach to it: those of its pods, and those that are attached though no pod there
 * uses them (any more). Source: NodeVolumeLimits of kube-scheduler 1.36.
 */
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
        const there = new Set(attachedTo(name, driver, volumes));
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
    if (event.kind === 'detached') return claimKeysOfPod(pod).length > 0;
    return event.kind === 'podGone' && claimKeysOfPod(event.pod).length > 0;
  },
};

/** What is attached to a node by a driver. */
function attachedTo(nodeName: string, driver: string, look: VolumeLookUp): readonly string[] {
  return (look.attachments?.(nodeName) ?? []).flatMap(({ spec: { attacher, source } }) => {
    const csi = look.volume(source.persistentVolumeName ?? '')?.spec?.csi;
    return attacher === driver && csi !== undefined ? [idOf(driver, csi.volumeHandle)] : [];
  });
}

const idOf = (driver: string, handle: string): string => `${driver}^${handle}`;

/** Volumes of drivers that a pod uses, each with its driver; one that is not made yet, or is not known, is its claim's. */
function volumesOf(pod: Pod, look: VolumeLookUp): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const key of claimKeysOfPod(pod)) {
    const claim = look.claim(key);
    if (claim === undefined) continue;
    const volume = look.volume(claim.spec?.volumeName ?? '');
    const csi = volume?.spec?.csi;
    if (csi !== undefined) found.set(idOf(csi.driver, csi.volumeHandle), csi.driver);
    else if (volume === undefined) {
      const driver = look.storageClass(claimClass(claim) ?? '')?.provisioner;
      if (driver !== undefined) found.set(`claim ${key}`, driver);
    }
  }
  return found;
}
