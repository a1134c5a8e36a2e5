/** The node's part of a volume that was enlarged: what the claim's status says of it (KEP-1790, as a kubelet of 1.36). Pure. */
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { withCondition } from '#api/meta/condition.ts';
import { parseQuantity, quantityToInteger, tryParseQuantity } from '#api/meta/quantity.ts';
import { requestedSize, volumeSize } from '#api/volume/claim.ts';
import { localVolumeNode } from '#api/volume/local-volumes.ts';

/** States in which the volume is the node's to enlarge; without any, whoever enlarged it said nothing of it. */
const nodeStates: ReadonlySet<string | undefined> = new Set([
  undefined,
  'NodeResizePending',
  'NodeResizeInProgress',
]);
/** Conditions of growth that are over when the node has done its part. */
const growing: ReadonlySet<string> = new Set(['FileSystemResizePending', 'Resizing', 'NodeResizeError']);

function stateOf({ status }: PersistentVolumeClaim): string | undefined {
  return status?.allocatedResourceStatuses?.['storage'];
}

function toldSize({ status }: PersistentVolumeClaim): bigint {
  return tryParseQuantity(status?.capacity?.['storage'])?.nanos ?? 0n;
}

/** Bytes that a driver is to make of the volume; undefined: nothing is the node's to do, or is not to be tried any more. */
export function growthOf(claim: PersistentVolumeClaim, volume: PersistentVolume): number | undefined {
  const { status } = claim;
  if (volume.spec?.csi === undefined || status?.capacity?.['storage'] === undefined) return undefined;
  if (!nodeStates.has(stateOf(claim)) || toldSize(claim) >= volumeSize(volume)) return undefined;
  return quantityToInteger(parseQuantity(volume.spec.capacity?.['storage'] ?? '0'));
}

/** The claim before its driver is asked; undefined: it says so. */
export function begunClaim(claim: PersistentVolumeClaim): PersistentVolumeClaim | undefined {
  if (stateOf(claim) === 'NodeResizeInProgress') return undefined;
  return withState(claim, 'NodeResizeInProgress');
}

export interface ExpansionFailure {
  readonly message: string;
  /** The driver takes the size for wrong. */
  readonly isInfeasible: boolean;
  readonly now: number;
}

/**
 * The claim after a final refusal. A size that the claim does not ask for any more is given up as one that is wrong is, once it has failed
 * before: whoever enlarges volumes goes on with the other.
 */
export function failedClaim(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
  { message, isInfeasible, now }: ExpansionFailure,
): PersistentVolumeClaim {
  const { status } = claim;
  const hasFailed = status?.conditions?.some(({ type }) => type === 'NodeResizeError') === true;
  const isGivenUp = isInfeasible || (hasFailed && requestedSize(claim) !== volumeSize(volume));
  const condition = {
    type: 'NodeResizeError',
    status: 'True',
    message: `failed to expand pvc with ${message}`,
  };
  const told = {
    ...claim,
    status: { ...status, conditions: withCondition(status?.conditions, condition, now) },
  };
  return isGivenUp ? withState(told, 'NodeResizeInfeasible') : told;
}

function withState(
  claim: PersistentVolumeClaim,
  state: 'NodeResizeInProgress' | 'NodeResizeInfeasible',
): PersistentVolumeClaim {
  const { status } = claim;
  const allocatedResourceStatuses = { ...status?.allocatedResourceStatuses, storage: state };
  return { ...claim, status: { ...status, allocatedResourceStatuses } };
}

/**
 * The claim as it is with the size that its volume has by now; undefined: it says so, or the volume is others' to enlarge. One that has the
 * size already, and is still said to be the node's to enlarge, is told that this is over, too (kubernetes#131402).
 */
export function grownClaim(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
): PersistentVolumeClaim | undefined {
  if (localVolumeNode(volume) === undefined && volume.spec?.csi === undefined) return undefined;
  const state = stateOf(claim);
  if (!nodeStates.has(state)) return undefined;
  const size = volumeSize(volume);
  const isTold = toldSize(claim) >= size;
  const begun = tryParseQuantity(claim.status?.allocatedResources?.['storage'])?.nanos ?? 0n;
  if (isTold && (state === undefined || begun > size)) return undefined;
  const { conditions = [], allocatedResourceStatuses, ...status } = claim.status ?? {};
  const { storage: _state, ...states } = allocatedResourceStatuses ?? {};
  return {
    ...claim,
    status: {
      ...status,
      capacity: isTold ? status.capacity : { ...status.capacity, ...volume.spec?.capacity },
      conditions: conditions.filter(({ type }) => !growing.has(type)),
      ...(Object.keys(states).length === 0 ? {} : { allocatedResourceStatuses: states }),
    },
  };
}
