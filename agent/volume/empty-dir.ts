import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { parseQuantity, quantityToInteger, tryParseQuantity } from '#api/meta/quantity.ts';
import type { EmptyDirVolumeSource, Pod } from '#api/generated/objects.ts';
import { podLimits, resourceNumbers } from '#api/pod/requests.ts';
import { PodwrightError } from '#base/errors.ts';
import type { VolumeKind } from './volume.ts';

/**
 * The sizeLimit, and never more than the pod's memory, which it is part of, or all pods' (calculateEmptyDirMemorySize of pkg/volume/emptydir);
 * undefined leaves the kernel's half of the host's.
 */
function memorySize(
  pod: Pod,
  sizeLimit: string | undefined,
  allocatableBytes: number | undefined,
): number | undefined {
  const { containers = [], initContainers = [], resources } = pod.spec ?? {};
  const isLimited =
    resources?.limits?.['memory'] !== undefined ||
    [...containers, ...initContainers].every((each) => each.resources?.limits?.['memory'] !== undefined);
  const limits = [
    allocatableBytes,
    isLimited ? resourceNumbers(podLimits(pod)).get('memory') : undefined,
    sizeLimit === undefined ? undefined : quantityToInteger(parseQuantity(sizeLimit)),
  ].filter((bytes) => bytes !== undefined && bytes > 0);
  return limits.length === 0 ? undefined : Math.min(...limits.map(Number));
}

/**
 * Bytes of a page of medium `HugePages` (of which a pod asks for one size) or `HugePages-2Mi` (which a pod has to ask for).
 * @throws {E_INVALID} in the words of the kubelet
 */
function pageSizeOf({ spec }: Pod, medium: string): number {
  // What the pod asks for as a whole its containers may have, too (KEP-2837).
  const holders = [
    { resources: spec?.resources },
    ...(spec?.initContainers ?? []),
    ...(spec?.containers ?? []),
  ];
  const sizes = new Set(
    holders.flatMap(({ resources }) =>
      Object.keys(resources?.requests ?? resources?.limits ?? {})
        .filter((name) => name.startsWith('hugepages-'))
        .map((name) => quantityToInteger(parseQuantity(name.slice('hugepages-'.length)))),
    ),
  );
  const [only] = sizes;
  if (medium === 'HugePages') {
    if (sizes.size === 1 && only !== undefined) return only;
    if (sizes.size > 1)
      throw new PodwrightError(
        'E_INVALID',
        'medium HugePages can not be used, because the containers request several page sizes',
      );
    throw new PodwrightError(
      'E_INVALID',
      'hugePages storage requested, but there is no resource request for huge pages',
    );
  }
  const size = tryParseQuantity(medium.slice('HugePages-'.length));
  const bytes = size === undefined ? 0 : quantityToInteger(size);
  if (bytes > 0 && sizes.has(bytes)) return bytes;
  throw new PodwrightError(
    'E_INVALID',
    `medium ${medium}: hugePages storage requested, but there is no resource request for huge pages of the size`,
  );
}

/** inode(7): S_ISVTX */
const stickyBit = 0o1000;

/**
 * An empty directory of the pod: on disk, a tmpfs of at most `sizeLimit` with medium Memory, or a hugetlbfs. It gets its owner and mode before it
 * is at its place, once: what is at its place was made whole, may be a container's by now, and is not touched again. New files have
 * the fsGroup by the set-group-id bit, so that there is nothing to walk through, ever. In a tmpfs only the owner of a file removes it, as
 * in one that is mounted without a mode, which is the kubelet's (tmpfs(5): 1777; pkg/volume/emptydir leaves that bit).
 */
export const emptyDir: VolumeKind<EmptyDirVolumeSource> = {
  place: 'disk',
  mount: async ({ medium = '', sizeLimit }, { pod, directory, mounter, fsGroup, volume, allocatable }) => {
    const pageBytes = medium.startsWith('HugePages') ? pageSizeOf(pod, medium) : undefined;
    if (medium !== '' && medium !== 'Memory' && pageBytes === undefined) {
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `volume "${volume.name}": emptyDir medium ${medium} is not supported`,
      );
    }
    const owner = { mode: fsGroup === undefined ? 0o777 : 0o2777, gid: fsGroup };
    if (medium === '') await ensureDirectory(directory, owner);
    else {
      await mkdir(directory, { recursive: true });
      if (mounter.isMountPoint(directory)) return { path: directory };
      if (pageBytes === undefined)
        mounter.tmpfs(directory, {
          ...{ ...owner, mode: owner.mode | stickyBit },
          sizeBytes: memorySize(pod, sizeLimit, allocatable?.memoryBytes),
        });
      else mounter.hugePages(directory, { pageBytes, ...owner });
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
