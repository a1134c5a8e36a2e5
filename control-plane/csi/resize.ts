import { describeError, isPodwrightError } from '#base/errors.ts';
import { persistentVolumeClaims, persistentVolumes } from '#api/schema/kind-ref.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { requestedSize, volumeSize } from '#api/volume/claim.ts';
import { modeOf } from '#api/volume/match.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import { accessMode, renderCapability } from '#proto/csi/capability.ts';
import { statusNameOf } from '#proto/status.ts';
import { secretOf, type CsiContext } from './csi-context.ts';
import { binarySize, requestedBytes } from './plan-volume.ts';

/** Makes volumes larger whose claims ask for more, and tells nodes of their part (external-resizer). */
export function runResizer(context: CsiContext): Controller {
  const { informers, clock, logger } = context;
  const claims = informers.for(persistentVolumeClaims);
  const volumes = informers.for(persistentVolumes);
  return runController({
    name: 'csi-resizer',
    ...{ clock, logger },
    sources: [
      source(claims, ({ key }) => [key]),
      source(volumes, ({ current }) => {
        const { namespace, name } = current?.spec?.claimRef ?? {};
        return name === undefined ? [] : [`${namespace ?? ''}/${name}`];
      }),
    ],
    reconcile: async (key, signal) => {
      const claim = claims.get(key);
      const volume = volumes.get(claim?.spec?.volumeName ?? '');
      if (claim !== undefined && volume !== undefined && isDue(context, claim, volume))
        await resize(context, { claim, volume }, signal);
    },
  });
}

function isDue({ driver }: CsiContext, claim: PersistentVolumeClaim, volume: PersistentVolume): boolean {
  if (volume.spec?.csi?.driver !== driver.name || volume.spec.claimRef?.uid !== claim.metadata?.uid)
    return false;
  if (claim.status?.phase !== 'Bound' || claim.metadata?.deletionTimestamp !== undefined) return false;
  return requestedSize(claim) > volumeSize(volume);
}

interface Pair {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
}

/** Announced on the claim, done by the driver, told on the volume, then the node's part on the claim: safe to repeat from any cut. */
async function resize(context: CsiContext, { claim, volume }: Pair, signal: AbortSignal): Promise<void> {
  const { driver, client, recorder, informers } = context;
  const regarding = { kind: persistentVolumeClaims, object: claim };
  const name = volume.metadata?.name ?? '';
  const size = claim.spec?.resources?.requests?.['storage'] ?? '0';
  await putClaim(context, claim, {
    storage: size,
    state: 'ControllerResizeInProgress',
    condition: 'Resizing',
  });
  recorder.record(regarding, 'Normal', 'Resizing', `External resizer is resizing volume ${name}`);
  try {
    const { capacity_bytes: bytes, node_expansion_required: isNodes } = await expand(
      context,
      { claim, volume },
      signal,
    );
    const storage = binarySize(bytes > 0 ? bytes : requestedBytes(claim));
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
  } catch (error) {
    signal.throwIfAborted();
    recorder.record(
      regarding,
      'Warning',
      'VolumeResizeFailed',
      `resize volume ${JSON.stringify(name)} by resizer ${JSON.stringify(driver.name)} failed: ${describeError(error)}`,
    );
    const isFinal =
      isPodwrightError(error) &&
      ['INVALID_ARGUMENT', 'OUT_OF_RANGE', 'NOT_FOUND'].includes(statusNameOf(error));
    if (isFinal) await putClaim(context, claim, { storage: size, state: 'ControllerResizeInfeasible' });
    throw error;
  }
}

async function expand(
  context: CsiContext,
  { claim, volume }: Pair,
  signal: AbortSignal,
): Promise<{ readonly capacity_bytes: number; readonly node_expansion_required: boolean }> {
  const { driver } = context;
  // A driver that grows nothing itself leaves all of it to its nodes.
  if (!driver.capabilities.has('EXPAND_VOLUME'))
    return { capacity_bytes: requestedBytes(claim), node_expansion_required: true };
  const { csi, accessModes = [], mountOptions } = volume.spec ?? {};
  return driver.call(
    'ControllerExpandVolume',
    {
      ...{ volume_id: csi?.volumeHandle ?? '', capacity_range: { required_bytes: requestedBytes(claim) } },
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
  /** All is done. */
  readonly capacity?: string;
}

const ownConditions: ReadonlySet<string> = new Set(['Resizing', 'FileSystemResizePending']);

async function putClaim(
  { client, clock }: CsiContext,
  { metadata }: PersistentVolumeClaim,
  change: ClaimChange,
): Promise<void> {
  const { namespace, name = '' } = metadata ?? {};
  const claim = await client.get(persistentVolumeClaims, { namespace, name });
  if (claim.metadata?.uid !== metadata?.uid) return;
  const { status } = claim;
  const { storage: _state, ...states } = status?.allocatedResourceStatuses ?? {};
  const conditions = (status?.conditions ?? []).filter(({ type }) => !ownConditions.has(type));
  const lastTransitionTime = formatTime(clock.now());
  const condition =
    change.condition === undefined
      ? []
      : [
          {
            type: change.condition,
            status: 'True',
            lastTransitionTime,
            message: messages[change.condition] ?? '',
          },
        ];
  const next = {
    ...claim,
    status: {
      ...status,
      conditions: [...conditions, ...condition],
      allocatedResources: { ...status?.allocatedResources, storage: change.storage },
      allocatedResourceStatuses: change.state === undefined ? states : { ...states, storage: change.state },
      ...(change.capacity === undefined
        ? {}
        : { capacity: { ...status?.capacity, storage: change.capacity } }),
    },
  };
  await client.update(persistentVolumeClaims, next, { subresource: 'status' });
}

const messages: Readonly<Record<string, string>> = {
  FileSystemResizePending:
    'Waiting for user to (re-)start a pod to finish file system resize of volume on node.',
};
