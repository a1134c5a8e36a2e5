import { describeError, isPodwrightError } from '#base/errors.ts';
import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import { withCondition } from '#api/meta/condition.ts';
import { objectKey } from '#api/meta/object.ts';
import { compareQuantity, parseQuantity } from '#api/meta/quantity.ts';
import { requestedSize, volumeSize } from '#api/volume/claim.ts';
import { modeOf } from '#api/volume/match.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { accessMode, renderCapability } from '#proto/csi/capability.ts';
import { statusNameOf } from '#proto/status.ts';
import { changeClaimStatus } from './claim-status.ts';
import { secretOf, type CsiContext } from './csi-context.ts';
import { binarySize, bytesOf } from './plan-volume.ts';
import { claimKeysOf, isBoundBy } from './bound-claim.ts';
import { createRetryGate, isUnsure, type RetryGate } from './retry-gate.ts';

/** Makes volumes larger whose claims ask for more, and tells nodes of their part (external-resizer). */
export function runResizer(context: CsiContext): Controller {
  const { informers, clock, logger } = context;
  const claims = informers.for(persistentVolumeClaims);
  const volumes = informers.for(persistentVolumes);
  const gate = createRetryGate(clock);
  return runController({
    name: 'csi-resizer',
    ...{ clock, logger },
    sources: [source(claims, ({ key }) => [key]), source(volumes, ({ current }) => claimKeysOf(current))],
    reconcile: async (key, signal) => {
      const claim = claims.get(key);
      const volume = volumes.get(claim?.spec?.volumeName ?? '');
      if (claim === undefined || volume === undefined) return;
      const uid = claim.metadata?.uid ?? '';
      if (!isDue(context, claim, volume)) {
        gate.clear(uid);
        return;
      }
      const size = planSize(claim, gate.refused(uid));
      const afterMs = gate.waitMs(uid, size);
      if (afterMs > 0) return { kind: 'again', afterMs };
      return resize(context, { claim, volume, size, gate }, signal);
    },
  });
}

function isDue({ driver }: CsiContext, claim: PersistentVolumeClaim, volume: PersistentVolume): boolean {
  return isBoundBy(driver.name, claim, volume) && requestedSize(claim) > volumeSize(volume);
}

/**
 * How large it is to be: what the claim asks for; but what may have begun goes on where that is more, until the driver has done it or said
 * finally that it does not (KEP-1790). `refused`: what it said so of, as far as this process knows. Pure.
 */
export function planSize({ spec, status }: PersistentVolumeClaim, refused: string | undefined): string {
  const asked = spec?.resources?.requests?.['storage'] ?? '0';
  const begun = status?.allocatedResources?.['storage'];
  const mayGoOn = status?.allocatedResourceStatuses?.['storage'] === 'ControllerResizeInProgress';
  if (begun === undefined || !mayGoOn || begun === refused) return asked;
  return compareQuantity(parseQuantity(begun), parseQuantity(asked)) > 0 ? begun : asked;
}

interface Work {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
  readonly size: string;
  readonly gate: RetryGate;
}

/** How long a size that a driver took for wrong is not asked for again. */
const infeasibleMs = 300_000;
const infeasible: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'OUT_OF_RANGE', 'NOT_FOUND']);

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
  const isInfeasible = infeasible.has(status);
  gate.fail(uid, size, { isFinal: !isUnsure(status), minMs: isInfeasible ? infeasibleMs : 0 });
  const message = `resize volume ${JSON.stringify(volume.metadata?.name ?? '')} by resizer ${JSON.stringify(driver.name)} failed: ${describeError(error)}`;
  recorder.record({ kind: persistentVolumeClaims, object: claim }, 'Warning', 'VolumeResizeFailed', message);
  await putClaim(context, claim, {
    ...{ storage: size, state: isInfeasible ? 'ControllerResizeInfeasible' : 'ControllerResizeInProgress' },
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
  ...['Resizing', 'FileSystemResizePending', 'ControllerResizeError'],
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
