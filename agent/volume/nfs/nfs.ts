import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { NFSVolumeSource } from '#api/generated/objects.ts';
import type { MountedVolume, VolumeContext, VolumeKind } from '#agent/volume/volume.ts';

/** A directory of an NFS server, mounted for the pod. Its owners are the server's: fsGroup does not apply (kubernetes pkg/volume/nfs). */
export const nfs: VolumeKind<NFSVolumeSource> = {
  place: 'disk',
  mount: async (source, context) =>
    mountShare({ source, options: [], isReadOnly: false }, context.directory, context),
  unmount: async ({ directory, mounter }) => {
    mounter.unmount(directory);
  },
};

interface Share {
  readonly source: Pick<NFSVolumeSource, 'server' | 'path' | 'readOnly'>;
  readonly options: readonly string[];
  /** The pod, or its claim, wants no more. */
  readonly isReadOnly: boolean;
}

/** Of a PersistentVolume, beside the record of the claim. */
export async function mountShareOfClaim(share: Share, context: VolumeContext): Promise<MountedVolume> {
  return mountShare(share, path.join(context.directory, 'mount'), context);
}

/** Once a pod. What is mounted is not looked at: a server that is gone lets nobody go who asks it something. */
async function mountShare(
  { source, options, isReadOnly }: Share,
  target: string,
  { mounter, signal }: VolumeContext,
): Promise<MountedVolume> {
  const { server, path: exported, readOnly } = source;
  const isSealed = isReadOnly || readOnly === true;
  if (!mounter.isMountPoint(target)) {
    await mkdir(target, { recursive: true });
    await mounter.nfs(target, { server, path: exported, options, isReadOnly: isSealed }, signal);
  }
  return { path: target, isReadOnly: isSealed, isRemote: true };
}
