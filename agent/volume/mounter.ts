import type { Mounts } from '#native/mount/mount.ts';
import { mountNfs } from './nfs/mount-nfs.ts';
import { createNfsPorts } from './nfs/nfs-ports.linux.ts';
import { createDeviceMount } from './device/mount-device.ts';
import type { Mounter } from './volume.ts';

/** What volumes need of the node's mounts. */
export function createMounter(mounts: Mounts): Mounter {
  const ports = createNfsPorts();
  return {
    device: createDeviceMount(),
    nfs: (target, wish, signal) => mountNfs(target, wish, { ports, signal }),
    bind: (source, target) => mounts.mount(target, { kind: 'bind', source, recursive: true }),
    tmpfs: (target, { sizeBytes, mode, gid }) => {
      const size = sizeBytes === undefined ? {} : { sizeBytes };
      const group = gid === undefined ? {} : { gid };
      mounts.mount(target, { kind: 'tmpfs', mode, ...size, ...group }, ['nosuid', 'nodev']);
    },
    hugePages: (target, { pageBytes, mode, gid }) => {
      const group = gid === undefined ? '' : `,gid=${gid}`;
      const data = `pagesize=${pageBytes},mode=${mode.toString(8)}${group}`;
      const spec = { kind: 'other', type: 'hugetlbfs', source: 'hugetlbfs', data } as const;
      mounts.mount(target, spec, ['nosuid', 'nodev']);
    },
    unmount: (target) => mounts.unmount(target),
    isMountPoint: (path) => mounts.list().some(({ target }) => target === path),
  };
}
