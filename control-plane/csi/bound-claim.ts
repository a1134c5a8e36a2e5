import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';

/** Keys of the claims that a volume is bound to: one, or none. */
export function claimKeysOfVolume(volume: PersistentVolume | undefined): readonly string[] {
  const { namespace, name } = volume?.spec?.claimRef ?? {};
  return name === undefined ? [] : [`${namespace ?? ''}/${name}`];
}

/** Whether a claim has the volume, which is one of the driver, and is to stay. */
export function isBoundBy(driver: string, claim: PersistentVolumeClaim, volume: PersistentVolume): boolean {
  return (
    volume.spec?.csi?.driver === driver &&
    volume.spec.claimRef?.uid === claim.metadata?.uid &&
    claim.status?.phase === 'Bound' &&
    claim.metadata?.deletionTimestamp === undefined
  );
}
