import { createHash } from 'node:crypto';
import path from 'node:path';

/**
 * Where drivers find what they are told of: below one root, as every kubelet lays it out (drivers and their sidecars have these paths
 * as hostPaths, and some read them back).
 *
 *   plugins/kubernetes.io/csi/DRIVER/HASH/globalmount         staged
 *   plugins/kubernetes.io/csi/DRIVER/HASH/staged.json         written before; outside of what the driver mounts
 *   plugins/kubernetes.io/csi/volumeDevices/staging/VOLUME    staged as a device
 *   plugins/kubernetes.io/csi/volumeDevices/publish/VOLUME/POD
 *   pods/POD/volumes/kubernetes.io~csi/VOLUME/mount           published
 */
export interface CsiPaths {
  /** Below it a directory per driver. */
  readonly drivers: string;
  /** Below it a directory per volume that is a device, with the places of its pods. */
  readonly published: string;
  /** Below it a directory per volume of the pod, with its `mount`. */
  podMounts(podUid: string): string;
  /** The directory of a volume that is staged. */
  volume(driver: string, handle: string): string;
  /** What the driver stages at. */
  staging(wish: { readonly driver: string; readonly handle: string; readonly device?: string }): string;
  /** What the driver publishes at. `name`: of the PersistentVolume, or the pod's own name of an inline one. */
  target(wish: { readonly podUid: string; readonly name: string; readonly isDevice: boolean }): string;
}

/** Names of csi's own beside those of drivers. */
const devicesName = 'volumeDevices';

export function csiPaths(root: string): CsiPaths {
  const drivers = path.join(root, 'plugins', 'kubernetes.io', 'csi');
  const volume = (driver: string, handle: string): string =>
    path.join(drivers, driver, createHash('sha256').update(handle).digest('hex'));
  const published = path.join(drivers, devicesName, 'publish');
  const podMounts = (podUid: string): string =>
    path.join(root, 'pods', podUid, 'volumes', 'kubernetes.io~csi');
  return {
    ...{ drivers, published, podMounts, volume },
    staging: ({ driver, handle, device }) =>
      device === undefined
        ? path.join(volume(driver, handle), 'globalmount')
        : path.join(drivers, devicesName, 'staging', device),
    target: ({ podUid, name, isDevice }) =>
      isDevice ? path.join(published, name, podUid) : path.join(podMounts(podUid), name, 'mount'),
  };
}

/** The handle of a volume that is written in the pod itself (makeVolumeHandle of kubernetes pkg/volume/csi). */
export function inlineHandle(podUid: string, name: string): string {
  return `csi-${createHash('sha256').update(`${podUid}${name}`).digest('hex')}`;
}
