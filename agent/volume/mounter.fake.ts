import { cpSync, realpathSync, rmSync } from 'node:fs';
import type { Mounter } from './volume.ts';

export interface FakeMounter extends Mounter {
  readonly mounts: ReadonlyMap<string, string>;
}

/** Mounts as a list; a bind copies, so that its content can be read. */
export function createFakeMounter(): FakeMounter {
  const mounts = new Map<string, string>();
  return {
    mounts,
    bind: (source, target) => {
      mounts.set(target, `bind ${source}`);
      cpSync(realpathSync(source), target, { recursive: true });
    },
    tmpfs: (target, { sizeBytes }) => void mounts.set(target, `tmpfs ${sizeBytes ?? ''}`.trim()),
    hugePages: (target, { pageBytes }) => void mounts.set(target, `hugetlbfs ${pageBytes}`),
    nfs: async (target, { server, path, options, isReadOnly }) => {
      const words = [...options, isReadOnly ? 'ro' : 'rw'].join(',');
      mounts.set(target, `nfs ${server}:${path} ${words}`);
    },
    device: async (target, { device, fsType, options }) => {
      mounts.set(target, ['device', device, fsType ?? 'ext4', ...options].join(' '));
    },
    unmount: (target) => {
      if (mounts.get(target)?.startsWith('bind') === true) rmSync(target, { recursive: true, force: true });
      return mounts.delete(target);
    },
    isMountPoint: (target) => mounts.has(target),
  };
}
