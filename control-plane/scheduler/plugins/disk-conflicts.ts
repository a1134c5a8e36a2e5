import type { Pod, Volume } from '#api/generated/objects.ts';

interface Disk {
  readonly kind: 'gce' | 'aws' | 'iscsi' | 'rbd';
  /** Two with a name in common are the same disk. */
  readonly names: readonly string[];
  /** Several pods may have it, all of which only read it. */
  readonly isShareable: boolean;
}

/**
 * Whether a node cannot have both pods, because both name a disk that can be attached to it once (isVolumeConflict of kube-scheduler's VolumeRestrictions):
 * disks in pods themselves, not those of claims.
 */
export function haveDiskConflict(one: Pod, other: Pod): boolean {
  const disks = disksOf(one);
  if (disks.length === 0) return false;
  return disksOf(other).some((there) =>
    disks.some(
      (disk) =>
        disk.kind === there.kind &&
        disk.names.some((name) => there.names.includes(name)) &&
        !(disk.isShareable && there.isShareable),
    ),
  );
}

export function hasDisks(pod: Pod): boolean {
  return disksOf(pod).length > 0;
}

function disksOf({ spec }: Pod): readonly Disk[] {
  return (spec?.volumes ?? []).flatMap((volume) => diskOf(volume) ?? []);
}

function diskOf({ gcePersistentDisk, awsElasticBlockStore, iscsi, rbd }: Volume): Disk | undefined {
  if (gcePersistentDisk !== undefined) {
    const { pdName, readOnly = false } = gcePersistentDisk;
    return { kind: 'gce', names: [pdName], isShareable: readOnly };
  }
  if (awsElasticBlockStore !== undefined)
    return { kind: 'aws', names: [awsElasticBlockStore.volumeID], isShareable: false };
  if (iscsi !== undefined) return { kind: 'iscsi', names: [iscsi.iqn], isShareable: iscsi.readOnly === true };
  if (rbd === undefined) return undefined;
  const { monitors, pool = 'rbd', image, readOnly = false } = rbd;
  // Two that share a monitor are of one cluster.
  return {
    kind: 'rbd',
    names: monitors.map((monitor) => JSON.stringify([monitor, pool, image])),
    isShareable: readOnly,
  };
}
