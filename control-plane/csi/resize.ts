import { describeError, isPodwrightError } from '#base/errors.ts';
import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { findCondition, withCondition } from '#api/meta/condition.ts';
import { objectKey } from '#api/meta/object.ts';
import { compareQuantity, parseQuantity } from '#api/meta/quantity.ts';
import { requestedSize, volumeSize } from '#api/volume/claim.ts';
import { modeOf } from '#api/volume/match.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { isInfeasible, isUnsure } from '#proto/csi/answers.ts';
import { accessMode, renderCapability } from '#proto/csi/capability.ts';
import { statusNameOf } from '#proto/status.ts';
import { changeClaimStatus } from './claim-status.ts';
import { secretOf, type CsiContext } from './csi-context.ts';
import { binarySize, bytesOf } from './plan-volume.ts';
import { claimKeysOfVolume, isBoundBy } from './bound-claim.ts';
import { createRetryGate, type RetryGate } from './retry-gate.ts';

/** Makes volumes larger whose claims ask for more, and tells nodes of their part (external-resizer). */
export function runResizer(context: CsiContext): Controller {
  const { informers, clock, logger } = context;
  const claims = informers.for(persistentVolumeClaims);
  const volumes = informers.for(persistentVolumes);
  const gate = createRetryGate(clock);
  return runController({
    name: 'csi-resizer',
    ...{ clock, logger },
    sources: [
      source(claims, ({ key }) => [key]),
      source(volumes, ({ current }) => claimKeysOfVolume(current)),
    ],
    reconcile: async (key, signal) => {
      const claim = claims.get(key);
      const volume = volumes.get(claim?.spec?.volumeName ?? '');
      if (claim === undefined || volume === undefined) return;
      const uid = claim.metadata?.uid ?? '';
      const canExpand = context.driver.capabilities.has('EXPAND_VOLUME');
      const step = isBoundBy(context.driver.name, claim, volume)
        ? planResize(claim, volume, { refused: gate.refused(uid), canExpand })
        : undefined;
      if (step === undefined) {
        gate.clear(uid);
        return;
      }
      const { size, notBeforeMs } = step;
      const afterMs = Math.max(gate.waitMs(uid, size), notBeforeMs - clock.now());
      if (afterMs > 0) return { kind: 'again', afterMs };
      return resize(context, { claim, volume, size, gate }, signal);
    },
  });
}

export interface ResizeFacts {
  /** The size that the driver has finally refused, as far as this process knows. */
  readonly refused: string | undefined;
  /** The driver makes volumes larger itself; else its nodes do all of it. */
  readonly canExpand: boolean;
}

export interface ResizeStep {
  readonly size: string;
  /** 0: at once. */
  readonly notBeforeMs: number;
}

/**
 * How large the volume is to be made; undefined: nothing is due here (KEP-1790, external-resizer's expandAndRecover). What the claim asks
 * for; but what may have begun goes on where that is more, until the driver has done it or said finally that it does not; what the nodes
 * have to do comes before the next; and what a node cannot do is tried once more from the beginning, at once where another size is asked
 * for that only nodes have to do with, else after a while. Pure.
 */
export function planResize(
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
  { refused, canExpand }: ResizeFacts,
): ResizeStep | undefined {
  const { spec, status } = claim;
  const asked = spec?.resources?.requests?.['storage'] ?? '0';
  const begun = status?.allocatedResources?.['storage'];
  const state = status?.allocatedResourceStatuses?.['storage'];
  const isLarger = requestedSize(claim) > volumeSize(volume);
  const at = (size: string, notBeforeMs = 0): ResizeStep => ({ size, notBeforeMs });
  if (begun !== undefined && (state === 'NodeResizePending' || state === 'NodeResizeInProgress'))
    return parseQuantity(begun).nanos > volumeSize(volume) ? at(begun) : undefined;
  if (begun !== undefined && state === 'NodeResizeInfeasible') {
    const size = canExpand ? begun : asked;
    if (size !== begun) return at(size);
    const since = findCondition(status?.conditions, 'NodeResizeError')?.lastTransitionTime;
    return at(size, since === undefined ? 0 : Date.parse(since) + infeasibleMs);
  }
  if (!isLarger) return undefined;
  const mayGoOn = state === 'ControllerResizeInProgress' && begun !== refused;
  if (begun === undefined || !mayGoOn) return at(asked);
  return at(compareQuantity(parseQuantity(begun), parseQuantity(asked)) > 0 ? begun : asked);
}

interface Work {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
  readonly size: string;
  readonly gate: RetryGate;
}

/** How long a size that a driver took for wrong is not asked for again. */
const infeasibleMs = 300_000;

/** Announced on the claim, done by the driver, told on the volume, then the node's part on the claim: safe to repeat from any cut. */
async function resize(context: CsiContext, work: Work, signal: AbortSignal): Promise<KeyOutcome> {
  const { client, recorder, informers } = context;
  const { claim, volume, size, gate } = work;
  const regarding = { kind: persistentVolumeClaims, object: claim };
  const name = volume.metadata?.name ?? '';
  await putClaim(context, claim, {
    storage: size,
    state: 'ControllerResizeInProgress',
    condition: 'Resizing',
  });
  recorder.record(regarding, 'Normal', 'Resizing', `External resizer is resizing volume ${name}`);
  try {
    const { capacity_bytes: bytes, node_expansion_required: isNodes } = await expand(context, work, signal);
    const storage = binarySize(bytes > 0 ? bytes : bytesOf(size));
    const capacity = { ...volume.spec?.capacity, storage };
    // With the node's part on the claim before: the node goes by the volume.
    const state = isNodes
      ? { state: 'NodeResizePending' as const, condition: 'FileSystemResizePending' }
      : {};
    await putClaim(context, claim, isNodes ? { storage, ...state } : { storage, capacity: storage });
    const next = { ...volume, spec: { ...volume.spec, capacity } };
    informers.for(persistentVolumes).observe(await client.update(persistentVolumes, next));
    const [reason, message] = isNodes
      ? ['FileSystemResizeRequired', 'Require file system resize of volume on node']
      : ['VolumeResizeSuccessful', 'Resize volume succeeded'];
    recorder.record(regarding, 'Normal', reason ?? '', message ?? '');
    gate.clear(claim.metadata?.uid ?? '');
    return done;
  } catch (error) {
    signal.throwIfAborted();
    return giveUp(context, work, error);
  }
}

/** Said, and tried again in a while. */
async function giveUp(
  context: CsiContext,
  { claim, volume, size, gate }: Work,
  error: unknown,
): Promise<KeyOutcome> {
  const { driver, recorder, logger } = context;
  const uid = claim.metadata?.uid ?? '';
  const status = isPodwrightError(error) ? statusNameOf(error) : 'UNKNOWN';
  const isWrong = isInfeasible(status);
  gate.fail(uid, size, { isFinal: !isUnsure(status), minMs: isWrong ? infeasibleMs : 0 });
  const message = `resize volume ${JSON.stringify(volume.metadata?.name ?? '')} by resizer ${JSON.stringify(driver.name)} failed: ${describeError(error)}`;
  recorder.record({ kind: persistentVolumeClaims, object: claim }, 'Warning', 'VolumeResizeFailed', message);
  await putClaim(context, claim, {
    ...{ storage: size, state: isWrong ? 'ControllerResizeInfeasible' : 'ControllerResizeInProgress' },
    ...{ condition: 'Resizing', error: describeError(error) },
  });
  logger.warn({ driver: driver.name, claim: objectKey(claim), error: describeError(error) }, 'resize');
  return { kind: 'again', afterMs: gate.waitMs(uid, size) };
}

async function expand(
  context: CsiContext,
  { size, volume }: Work,
  signal: AbortSignal,
): Promise<{ readonly capacity_bytes: number; readonly node_expansion_required: boolean }> {
  const { driver } = context;
  // A driver that grows nothing itself leaves all of it to its nodes.
  if (!driver.capabilities.has('EXPAND_VOLUME'))
    return { capacity_bytes: bytesOf(size), node_expansion_required: true };
  const { csi, accessModes = [], mountOptions } = volume.spec ?? {};
  return driver.call(
    'ControllerExpandVolume',
    {
      ...{ volume_id: csi?.volumeHandle ?? '', capacity_range: { required_bytes: bytesOf(size) } },
      volume_capability: renderCapability({
        ...{ isBlock: modeOf(volume) === 'Block', fsType: csi?.fsType, mountOptions },
        mode: accessMode(
          accessModes[0] ?? 'ReadWriteOnce',
          driver.capabilities.has('SINGLE_NODE_MULTI_WRITER'),
        ),
      }),
      secrets: await secretOf(context, csi?.controllerExpandSecretRef),
    },
    signal,
  );
}

interface ClaimChange {
  readonly storage: string;
  readonly state?: 'ControllerResizeInProgress' | 'ControllerResizeInfeasible' | 'NodeResizePending';
  readonly condition?: string;
  /** What the driver said. */
  readonly error?: string;
  /** All is done. */
  readonly capacity?: string;
}

const ownConditions: ReadonlySet<string> = new Set([
  ...['Resizing', 'FileSystemResizePending', 'ControllerResizeError', 'NodeResizeError'],
]);

async function putClaim(
  context: CsiContext,
  claim: PersistentVolumeClaim,
  { storage, state, condition, error, capacity }: ClaimChange,
): Promise<void> {
  const now = context.clock.now();
  const told = [
    ...(condition === undefined ? [] : [{ type: condition, message: messages[condition] ?? '' }]),
    ...(error === undefined
      ? []
      : [{ type: 'ControllerResizeError', message: `resize failed with error: ${error}` }]),
  ];
  await changeClaimStatus(context, claim, (status) => {
    const { storage: _state, ...states } = status.allocatedResourceStatuses ?? {};
    const stays = (type: string): boolean =>
      !ownConditions.has(type) || told.some((one) => one.type === type);
    return {
      ...status,
      conditions: told.reduce(
        (all, one) => withCondition(all, { ...one, status: 'True' }, now),
        (status.conditions ?? []).filter(({ type }) => stays(type)) as NonNullable<typeof status.conditions>,
      ),
      allocatedResources: { ...status.allocatedResources, storage },
      allocatedResourceStatuses: state === undefined ? states : { ...states, storage: state },
      ...(capacity === undefined ? {} : { capacity: { ...status.capacity, storage: capacity } }),
    };
  });
}

const messages: Readonly<Record<string, string>> = {
  FileSystemResizePending:
    'Waiting for user to (re-)start a pod to finish file system resize of volume on node.',
};
