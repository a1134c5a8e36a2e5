import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { findCondition } from '#api/meta/condition.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { requestedSize, volumeSize } from '#api/volume/claim.ts';
import { localVolumeNode } from '#api/volume/local-volumes.ts';
import { event, type ExpansionStep } from './step.ts';

/** Of claims (core/v1 PersistentVolumeClaimConditionType). */
export const resizePending = 'FileSystemResizePending';

/**
 * What becomes of a bound claim that asks for more. It is announced before the volume is larger, so that the node, which goes by the
 * volume, cannot be done before. Volumes of others are grown by others. Pure.
 */
export function planExpansion(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
): readonly ExpansionStep[] {
  const size = claim.spec?.resources?.requests?.['storage'];
  if (size === undefined || requestedSize(claim) <= volumeSize(volume)) return [];
  if (claim.metadata?.deletionTimestamp !== undefined || claim.status?.phase !== 'Bound') return [];
  if (localVolumeNode(volume) === undefined) {
    return [tell('ExternalExpanding', 'waiting for an external controller to expand this PVC')];
  }
  const grow = { kind: 'growVolume', volume, size } as const;
  if (isAnnounced(claim, size)) return [grow];
  return [
    { kind: 'announceExpansion', size },
    grow,
    tell('FileSystemResizeRequired', 'Require file system resize of volume on node'),
  ];
}

const tell = (reason: string, message: string): ExpansionStep => ({
  ...event('Normal', reason, message),
  by: 'volume_expand',
});

function isAnnounced({ status }: PersistentVolumeClaim, size: string): boolean {
  const allocated = tryParseQuantity(status?.allocatedResources?.['storage'])?.nanos;
  return (
    allocated === tryParseQuantity(size)?.nanos &&
    findCondition(status?.conditions, resizePending)?.status === 'True'
  );
}

/** The claim with the announcement in its status. Pure. */
export function announced(claim: PersistentVolumeClaim, size: string, now: string): PersistentVolumeClaim {
  const { status } = claim;
  const others = (status?.conditions ?? []).filter(({ type }) => type !== resizePending);
  const condition = {
    type: resizePending,
    status: 'True',
    lastTransitionTime: now,
    message: 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.',
  };
  return {
    ...claim,
    status: {
      ...status,
      conditions: [...others, condition],
      allocatedResources: { ...status?.allocatedResources, storage: size },
      allocatedResourceStatuses: { ...status?.allocatedResourceStatuses, storage: 'NodeResizePending' },
    },
  };
}
