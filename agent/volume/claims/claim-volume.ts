import { lstat, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describeError, PodwrightError } from '#base/errors.ts';
import type {
  LocalVolumeSource,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimVolumeSource,
  EphemeralVolumeSource,
} from '#api/generated/objects.ts';
import { claimNameOf, foreignClaim, isFullyBound } from '#api/volume/claim.ts';
import { parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import { localVolumeNode } from '#api/volume/local-volumes.ts';
import { isOnNode, modeOf } from '#api/volume/match.ts';
import { giveGroup } from '#native/fs/give-group.ts';
import { isInfeasible, isUnsure } from '#proto/csi/answers.ts';
import { statusNameOf } from '#proto/status.ts';
import { hostPath } from '#agent/volume/host-path.ts';
import type { ClaimWish, Expansion, MountedVolume, VolumeContext, VolumeKind } from '#agent/volume/volume.ts';
import { deviceAt, statIfThere } from './device-at.ts';
import { mountShareOfClaim } from '#agent/volume/nfs/nfs.ts';
import { driversOf } from '#agent/volume/csi/inline-volume.ts';
import { pluginOfClaimed } from '#agent/volume/counts/volume-counts.ts';
import { begunClaim, failedClaim, growthOf } from './expansion.ts';
import { readWholeRecord, writeRecord, type ClaimRecord } from './records.ts';

/** The volume of a claim that the pod names. */
export const persistentVolumeClaim: VolumeKind<PersistentVolumeClaimVolumeSource> = {
  place: 'disk',
  mount: async ({ readOnly }, context) => mountClaim(context, readOnly === true),
};

/** The volume of a claim that was made for the pod, and goes with it. */
export const ephemeral: VolumeKind<EphemeralVolumeSource> = {
  place: 'disk',
  mount: async (_source, context) => mountClaim(context, false),
};

/**
 * Where the files of a claim are. Nothing is mounted on the node: containers bind the directory itself. That the pod uses the volume is
 * written down before it is asked whether the volume goes, and whoever removes volumes asks the other way round: one sees the other.
 */
async function mountClaim(context: VolumeContext, isReadOnly: boolean): Promise<MountedVolume> {
  const { directory, objects } = context;
  const before = await readWholeRecord(directory);
  const claim = await boundClaim(context, before !== undefined);
  const name = claim.spec?.volumeName ?? '';
  const own: ClaimRecord = {
    claim: `${claim.metadata?.namespace ?? ''}/${claim.metadata?.name ?? ''}`,
    claimUid: claim.metadata?.uid ?? '',
    volume: name,
    volumeUid: '',
  };
  if (before === undefined) {
    await mkdir(directory, { recursive: true });
    await writeRecord(directory, own);
  }
  if (before?.path === undefined) await refuseSecondPod(context, claim);
  const volume = await objects.persistentVolume(name, own.claimUid);
  if (volume === undefined) throw fault('E_NOT_FOUND', `persistentvolumes ${JSON.stringify(name)} not found`);
  await checkVolume(context, { volume, claim, isKnown: before?.path !== undefined });
  context.tellPlugin?.(pluginOfClaimed(volume));
  const latest = { claim };
  const expansion = expansionOf(latest, volume, context);
  const mounted = await sourceOf({ volume, claim, isReadOnly, expansion }, context);
  const group = await ensureGroup({ volume, path: mounted.path, before, isReadOnly }, context);
  await writeRecord(directory, {
    ...own,
    volumeUid: volume.metadata?.uid ?? '',
    path: mounted.path,
    ...(group === undefined ? {} : { group }),
    ...(localVolumeNode(volume) === undefined ? {} : { sizeBytes: sizeOf(volume) }),
    ...(mounted.isRemote === true ? { isRemote: true } : {}),
  });
  const isGrown = mounted.notGrown === undefined && (await objects.noteMounted(latest.claim, volume));
  return {
    ...mounted,
    isReadOnly: isReadOnly || mounted.isReadOnly === true,
    ...(isGrown ? { isGrown } : {}),
  };
}

/** What the claim is told of the node's part in enlarging its volume; `latest` is the claim as it is then. */
function expansionOf(
  latest: { claim: PersistentVolumeClaim },
  volume: PersistentVolume,
  { objects, now }: VolumeContext,
): Expansion | undefined {
  const bytes = growthOf(latest.claim, volume);
  if (bytes === undefined) return undefined;
  return {
    bytes,
    begin: async () => {
      const begun = begunClaim(latest.claim);
      if (begun !== undefined) latest.claim = await objects.tellClaim(begun);
    },
    fail: async (error) => {
      const status = statusNameOf(error);
      if (isUnsure(status)) return false;
      const failure = { message: describeError(error), isInfeasible: isInfeasible(status), now };
      latest.claim = await objects.tellClaim(failedClaim(latest.claim, volume, failure));
      // One that cannot be enlarged while it is in use is no less useful for that (kubernetes#92931).
      return isInfeasible(status) || status === 'FAILED_PRECONDITION';
    },
  };
}

function sizeOf({ spec }: PersistentVolume): number {
  return quantityToInteger(parseQuantity(spec?.capacity?.['storage'] ?? '0'));
}

function fault(
  code: 'E_NOT_FOUND' | 'E_INVALID' | 'E_UNSUPPORTED' | 'E_BUSY',
  message: string,
): PodwrightError {
  return new PodwrightError(code, message);
}

/** In the kubelet's words (volumemanager/populator getPVCExtractPV). */
async function boundClaim(
  { pod, volume, objects }: VolumeContext,
  isKnown: boolean,
): Promise<PersistentVolumeClaim> {
  const namespace = pod.metadata?.namespace ?? '';
  const name = claimNameOf(pod, volume) ?? '';
  const claim = await objects.claim(namespace, name);
  if (claim === undefined)
    throw fault('E_NOT_FOUND', `persistentvolumeclaims ${JSON.stringify(name)} not found`);
  const foreign = volume.ephemeral === undefined ? undefined : foreignClaim(pod, claim);
  if (foreign !== undefined) throw fault('E_INVALID', foreign);
  // A pod that has it keeps it until it ends.
  if (claim.metadata?.deletionTimestamp !== undefined && !isKnown)
    throw fault('E_INVALID', `can't start pod because PVC ${namespace}/${name} is being deleted`);
  if (!isFullyBound(claim) || claim.status?.phase !== 'Bound')
    throw fault('E_INVALID', `PVC ${namespace}/${name} is not bound`);
  return claim;
}

/** A claim of ReadWriteOncePod is one pod's, whoever put another beside it: who has it, else, of those that come at once, the first by uid. */
async function refuseSecondPod({ pod, objects }: VolumeContext, claim: PersistentVolumeClaim): Promise<void> {
  if (claim.spec?.accessModes?.includes('ReadWriteOncePod') !== true) return;
  const own = pod.metadata?.uid ?? '';
  const users = await objects.podsUsing(claim.metadata?.uid ?? '');
  if (!users.some(({ podUid, hasIt }) => podUid !== own && (hasIt || podUid < own))) return;
  throw fault('E_BUSY', 'volume uses the ReadWriteOncePod access mode and is already in use by another pod');
}

interface Checked {
  readonly volume: PersistentVolume;
  readonly claim: PersistentVolumeClaim;
  /** The pod has it already. */
  readonly isKnown: boolean;
}

async function checkVolume({ objects }: VolumeContext, { volume, claim, isKnown }: Checked): Promise<void> {
  const { spec, metadata } = volume;
  const name = metadata?.name ?? '';
  if (spec?.claimRef?.uid !== claim.metadata?.uid)
    throw fault('E_INVALID', `PersistentVolume ${name} is bound to another claim`);
  if (metadata?.deletionTimestamp !== undefined && !isKnown)
    throw fault('E_INVALID', `PersistentVolume ${name} is being deleted`);
  // Of what is bound, not mounted, there are no options.
  const isOthers = localVolumeNode(volume) === undefined && modeOf(volume) === 'Filesystem';
  const isMounted = [spec?.csi, spec?.nfs, isOthers ? spec?.local : undefined].some(
    (source) => source !== undefined,
  );
  if ((spec?.mountOptions ?? []).length > 0 && !isMounted)
    throw fault('E_UNSUPPORTED', `PersistentVolume ${name}: mountOptions are not supported by this node`);
  if (spec?.nodeAffinity === undefined) return;
  const seen = objects.seenNode?.();
  if (seen !== undefined && isOnNode(volume, seen)) return;
  // Labels may have come meanwhile, by which the scheduler chose.
  const node = await objects.node();
  if (node !== undefined && !isOnNode(volume, node))
    throw fault('E_INVALID', `PersistentVolume ${name}: node affinity does not match this node`);
}

/** By the source of the volume. */
async function sourceOf(wish: ClaimWish, context: VolumeContext): Promise<MountedVolume> {
  const { volume } = wish;
  const { local, hostPath: hosts, csi, nfs, mountOptions: options = [] } = volume.spec ?? {};
  const name = volume.metadata?.name ?? '';
  if (csi !== undefined) return driversOf(context).mountVolume(wish, context);
  const isBlock = modeOf(volume) === 'Block';
  if (nfs !== undefined) {
    if (isBlock) throw fault('E_UNSUPPORTED', `PersistentVolume ${name}: NFS has no volumeMode Block`);
    return mountShareOfClaim({ source: nfs, options, isReadOnly: wish.isReadOnly }, context);
  }
  if (local !== undefined) {
    if (localVolumeNode(volume) !== undefined)
      return { path: await context.objects.localVolumes.ensure(volume) };
    return isBlock ? deviceAt(local.path, name) : filesAt(local, wish, context);
  }
  if (hosts !== undefined) {
    const mounted = await hostPath.mount(hosts, context);
    return isBlock ? deviceAt(mounted.path, name) : mounted;
  }
  const other = Object.keys(volume.spec ?? {}).find((field) => volumeSources.has(field)) ?? 'source';
  throw fault('E_UNSUPPORTED', `PersistentVolume ${name}: kind ${other} is not supported by this node`);
}

/** Fields of a PersistentVolumeSource besides those that are mounted (core/v1). */
const volumeSources: ReadonlySet<string> = new Set(
  (
    'awsElasticBlockStore azureDisk azureFile cephfs cinder fc flexVolume flocker gcePersistentDisk glusterfs iscsi ' +
    'photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume'
  ).split(' '),
);

/** A directory, or the file system of a device, mounted for the pod beside the record: the kernel has it once, however often it is mounted. */
async function filesAt(
  { path: place, fsType }: LocalVolumeSource,
  { volume, isReadOnly }: ClaimWish,
  { directory, mounter, signal }: VolumeContext,
): Promise<MountedVolume> {
  const name = volume.metadata?.name ?? '';
  const { mountOptions: options = [] } = volume.spec ?? {};
  const found = await statIfThere(place);
  if (found === undefined)
    throw fault('E_NOT_FOUND', `PersistentVolume ${name}: path ${place} does not exist`);
  if (found.isBlockDevice()) {
    const target = path.join(directory, 'mount');
    if (!mounter.isMountPoint(target)) {
      await mkdir(target, { recursive: true });
      await mounter.device(target, { device: place, fsType, options, isReadOnly }, signal);
    }
    return { path: target, isReadOnly: options.includes('ro') };
  }
  if (options.length > 0)
    throw fault('E_UNSUPPORTED', `PersistentVolume ${name}: mountOptions are not supported by this node`);
  if (found.isDirectory()) return { path: place };
  throw fault('E_UNSUPPORTED', `PersistentVolume ${name}: ${place} is neither directory nor block device`);
}

interface GroupWish {
  readonly volume: PersistentVolume;
  readonly path: string;
  readonly before: ClaimRecord | undefined;
  readonly isReadOnly: boolean;
}

/** All of it for the pod's fsGroup, once a pod. A path of the host keeps its owners (kubernetes pkg/volume/hostpath). */
async function ensureGroup(
  { volume, path, before, isReadOnly }: GroupWish,
  { fsGroup, pod, signal }: VolumeContext,
): Promise<number | undefined> {
  if (fsGroup === undefined || before?.group === fsGroup) return before?.group;
  if (isReadOnly || volume.spec?.local === undefined || !(await lstat(path)).isDirectory()) return undefined;
  const onRootMismatch = pod.spec?.securityContext?.fsGroupChangePolicy === 'OnRootMismatch';
  await giveGroup(path, { gid: fsGroup, onRootMismatch, signal });
  return fsGroup;
}
