/** How a volume is to be used, in CSI's words (kubernetes pkg/volume/csi, csi-lib-utils accessmodes). Pure. */
import type { Outgoing } from '#proto/contract.ts';
import type { VolumeCapability, VolumeCapabilityAccessMode } from './csi.ts';

export type Mode = VolumeCapabilityAccessMode['mode'];

const modes: Readonly<Record<string, { readonly plain: Mode; readonly exact: Mode }>> = {
  ReadWriteOnce: { plain: 'SINGLE_NODE_WRITER', exact: 'SINGLE_NODE_MULTI_WRITER' },
  ReadWriteOncePod: { plain: 'SINGLE_NODE_WRITER', exact: 'SINGLE_NODE_SINGLE_WRITER' },
  ReadOnlyMany: { plain: 'MULTI_NODE_READER_ONLY', exact: 'MULTI_NODE_READER_ONLY' },
  ReadWriteMany: { plain: 'MULTI_NODE_MULTI_WRITER', exact: 'MULTI_NODE_MULTI_WRITER' },
};

/** `isExact`: the driver knows how many pods of a node may write (SINGLE_NODE_MULTI_WRITER). */
export function accessMode(mode: string, isExact: boolean): Mode {
  const found = modes[mode];
  return (isExact ? found?.exact : found?.plain) ?? 'UNKNOWN';
}

export interface CapabilityWish {
  readonly isBlock: boolean;
  readonly fsType?: string | undefined;
  readonly mountOptions?: readonly string[] | undefined;
  /** For drivers that give it to the files themselves (VOLUME_MOUNT_GROUP). */
  readonly group?: number | undefined;
  readonly mode: Mode;
}

export function renderCapability(wish: CapabilityWish): Outgoing<VolumeCapability> {
  const access_mode = { mode: wish.mode };
  if (wish.isBlock) return { block: {}, access_mode };
  return {
    mount: {
      fs_type: wish.fsType ?? '',
      mount_flags: [...(wish.mountOptions ?? [])],
      volume_mount_group: wish.group === undefined ? '' : String(wish.group),
    },
    access_mode,
  };
}

