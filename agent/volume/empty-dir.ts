import { chmod, mkdir } from 'node:fs/promises';
import { parseQuantity, quantityToInteger } from '#api/quantity.ts';
import type { EmptyDirVolumeSource } from '#api/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import { applyFsGroup } from './ownership.ts';
import type { VolumeKind } from './volume.ts';

/** An empty directory of the pod: on disk, or a tmpfs of at most `sizeLimit` with medium Memory. */
export const emptyDir: VolumeKind<EmptyDirVolumeSource> = {
  place: 'disk',
  mount: async ({ medium = '', sizeLimit }, { directory, mounter, fsGroup, volume }) => {
    if (medium !== '' && medium !== 'Memory') {
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `volume "${volume.name}": emptyDir medium ${medium} is not supported`,
      );
    }
    const made = await mkdir(directory, { recursive: true });
    const sizeBytes = sizeLimit === undefined ? undefined : quantityToInteger(parseQuantity(sizeLimit));
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
