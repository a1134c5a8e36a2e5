import { PodwrightError } from '#base/errors.ts';
import { kernelError } from '#native/sys/errno.ts';
import type { MountOption, Mounts, MountSpec, Propagation } from './mount.ts';
import { overlayData } from './mount-data.ts';
import { isWithin, type MountInfo } from './mountinfo.ts';

/** Mounts as a list; directories are not modelled: every target exists but those named in `missing`. */
export function createFakeMounts(options: { readonly missing?: ReadonlySet<string> } = {}): Mounts {
  let mounts: readonly MountInfo[] = [];
  let nextId = 100;
  const topmost = (target: string): MountInfo | undefined =>
    mounts.findLast((info) => info.target === target);
  const change = (target: string, changes: Partial<MountInfo>): void => {
    const found = topmost(target);
    if (found === undefined) throw kernelError(`mount flags at ${target}`, 'EINVAL');
    mounts = mounts.map((info) => (info === found ? { ...info, ...changes } : info));
  };
  const unmount = (target: string): boolean => {
    const found = topmost(target);
    mounts = mounts.filter((info) => info !== found);
    return found !== undefined;
  };
  return {
    mount: (target: string, spec: MountSpec, mountOptions: readonly MountOption[] = []) => {
      const { type, source, root } = describe(spec);
      const missing = [target, ...(spec.kind === 'bind' ? [spec.source] : [])];
      if (missing.some((path) => options.missing?.has(path) === true)) {
        throw kernelError(`mount ${type} at ${target}`, 'ENOENT');
      }
      const info: MountInfo = {
        id: nextId++,
        parentId: 1,
        root,
        target,
        options: optionWords(mountOptions),
        propagation: [],
        type,
        source,
        superOptions: [],
      };
      mounts = [...mounts, info];
    },
    remount: (target, mountOptions) => change(target, { options: optionWords(mountOptions) }),
    setPropagation: (target: string, propagation: Propagation) =>
      change(target, { propagation: propagation === 'private' ? [] : [`${propagation}:1`] }),
    unmount,
    unmountTree: (prefix) => {
      const targets = mounts.map((info) => info.target).filter((target) => isWithin(target, prefix));
      return targets.toReversed().filter(unmount).length;
    },
    list: () => mounts,
  };
}

const optionWords = (options: readonly MountOption[]): readonly string[] =>
  [...(options.includes('ro') ? [] : ['rw']), ...options].toSorted();

function describe(spec: MountSpec): {
  readonly type: string;
  readonly source: string;
  readonly root: string;
} {
  switch (spec.kind) {
    case 'bind':
      return { type: 'ext4', source: '/dev/fake', root: spec.source };
    case 'overlay':
      overlayData(spec); // What the kernel would refuse for its length is refused here too.
      return { type: 'overlay', source: 'overlay', root: '/' };
    case 'tmpfs':
      return { type: 'tmpfs', source: 'tmpfs', root: '/' };
    case 'other':
      return { type: spec.type, source: spec.source, root: '/' };
    default:
      throw new PodwrightError('E_INVALID', 'mount of unknown kind');
  }
}
