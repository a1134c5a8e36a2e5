import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { parseQuantity, quantityToInteger } from '#api/meta/quantity.ts';
import type { EmptyDirVolumeSource, Pod } from '#api/generated/objects.ts';
import { podLimits, resourceNumbers } from '#api/pod/requests.ts';
import { PodwrightError } from '#base/errors.ts';
import type { VolumeKind } from './volume.ts';

/** The sizeLimit, and never more than the pod's memory, which it is part of; undefined leaves the kernel's half of the host's. */
function memorySize(pod: Pod, sizeLimit: string | undefined): number | undefined {
  const { containers = [], initContainers = [], resources } = pod.spec ?? {};
  const isLimited =
    resources?.limits?.['memory'] !== undefined ||
    [...containers, ...initContainers].every((each) => each.resources?.limits?.['memory'] !== undefined);
  const limits = [
    isLimited ? resourceNumbers(podLimits(pod)).get('memory') : undefined,
    sizeLimit === undefined ? undefined : quantityToInteger(parseQuantity(sizeLimit)),
  ].filter((bytes) => bytes !== undefined && bytes > 0);
  return limits.length === 0 ? undefined : Math.min(...limits.map(Number));
}

/**
 * An empty directory of the pod: on disk, or a tmpfs of at most `sizeLimit` with medium Memory. It gets its owner and mode before it
 * is at its place, once: what is at its place was made whole, may be a container's by now, and is not touched again. New files have
 * the fsGroup by the set-group-id bit, so that there is nothing to walk through, ever.
 */
export const emptyDir: VolumeKind<EmptyDirVolumeSource> = {
  place: 'disk',
  mount: async ({ medium = '', sizeLimit }, { pod, directory, mounter, fsGroup, volume }) => {
    if (medium !== '' && medium !== 'Memory') {
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `volume "${volume.name}": emptyDir medium ${medium} is not supported`,
      );
    }
    const owner = { mode: fsGroup === undefined ? 0o777 : 0o2777, gid: fsGroup };
    if (medium === '') await ensureDirectory(directory, owner);
    else {
      await mkdir(directory, { recursive: true });
      if (!mounter.isMountPoint(directory))
        mounter.tmpfs(directory, { sizeBytes: memorySize(pod, sizeLimit), ...owner });
    }
    return { path: directory };
  },
  unmount: async ({ directory, mounter }) => {
    mounter.unmount(directory);
  },
};

/** Made beside (volumes' names have no dots), then renamed: a cut in between leaves nothing that looks finished. */
async function ensureDirectory(
  directory: string,
  { mode, gid }: { readonly mode: number; readonly gid: number | undefined },
): Promise<void> {
  if (existsSync(directory)) return;
  const fresh = path.join(path.dirname(directory), `.${path.basename(directory)}`);
  await mkdir(fresh, { recursive: true });
  if (gid !== undefined) await chown(fresh, 0, gid);
  await chmod(fresh, mode); // After chown, which takes the set-group-id bit; and whatever the umask is.
  await rename(fresh, directory);
}
