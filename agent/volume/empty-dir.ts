import { chmod, mkdir } from 'node:fs/promises';
import { parseQuantity, quantityToInteger } from '#api/quantity.ts';
import type { EmptyDirVolumeSource, Pod } from '#api/objects.ts';
import { podLimits, resourceNumbers } from '#api/pod/requests.ts';
import { PodwrightError } from '#base/errors.ts';
import { applyFsGroup } from './ownership.ts';
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

/** An empty directory of the pod: on disk, or a tmpfs of at most `sizeLimit` with medium Memory. */
export const emptyDir: VolumeKind<EmptyDirVolumeSource> = {
  place: 'disk',
  mount: async ({ medium = '', sizeLimit }, { pod, directory, mounter, fsGroup, volume }) => {
    if (medium !== '' && medium !== 'Memory') {
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `volume "${volume.name}": emptyDir medium ${medium} is not supported`,
      );
    }
    const made = await mkdir(directory, { recursive: true });
    const sizeBytes = memorySize(pod, sizeLimit);
    const isMounted = medium === 'Memory' && mounter.isMountPoint(directory);
    if (medium === 'Memory' && !isMounted) mounter.tmpfs(directory, { sizeBytes, mode: 0o777 });
    if (made !== undefined) await chmod(directory, 0o777); // Whatever the umask is.
    if (fsGroup !== undefined) await applyFsGroup(directory, fsGroup);
    return { path: directory };
  },
  unmount: async ({ directory, mounter }) => {
    mounter.unmount(directory);
  },
};
