/** What the first bytes of a block device say is on it. Pure. */

export type DeviceContent =
  | { readonly kind: 'empty' }
  /** A file system, by the kernel's name. */
  | { readonly kind: 'fileSystem'; readonly type: string }
  /** Somebody's: a partition table, a swap area, or what is not known here. */
  | { readonly kind: 'other'; readonly what: string };

/** As much as is looked at: every superblock below is in it, and what partition tables and volume managers write first. */
export const headBytes = 1_048_576;

/** Where file systems and others say who they are (magic numbers of libblkid's superblocks and partitions). */
const magics: readonly (readonly [at: number, magic: string, content: DeviceContent])[] = [
  [0x438, '\x53\xef', { kind: 'fileSystem', type: 'ext4' }],
  [0, 'XFSB', { kind: 'fileSystem', type: 'xfs' }],
  [0x10040, '_BHRfS_M', { kind: 'fileSystem', type: 'btrfs' }],
  [0x400, '\x10\x20\xf5\xf2', { kind: 'fileSystem', type: 'f2fs' }],
  [0x36, 'FAT1', { kind: 'fileSystem', type: 'vfat' }],
  [0x52, 'FAT32', { kind: 'fileSystem', type: 'vfat' }],
  [0, 'hsqs', { kind: 'fileSystem', type: 'squashfs' }],
  [0x400, '\xe2\xe1\xf5\xe0', { kind: 'fileSystem', type: 'erofs' }],
  [0x8001, 'CD001', { kind: 'fileSystem', type: 'iso9660' }],
  [0xff6, 'SWAPSPACE2', { kind: 'other', what: 'a swap area' }],
  [0, 'LUKS\xba\xbe', { kind: 'other', what: 'a device encrypted by LUKS' }],
  [0x218, 'LVM2 001', { kind: 'other', what: 'a part of an LVM group' }],
  [0x200, 'EFI PART', { kind: 'other', what: 'a partition table' }],
  [0x1fe, '\x55\xaa', { kind: 'other', what: 'a partition table' }],
];

/** Empty is what has nothing but zeros there: what is not known may be somebody's data. */
export function contentOf(head: Buffer): DeviceContent {
  const found = magics.find(([at, magic]) => {
    const bytes = Buffer.from(magic, 'latin1');
    return head.subarray(at, at + bytes.length).equals(bytes);
  });
  if (found !== undefined) return found[2];
  return head.every((byte) => byte === 0)
    ? { kind: 'empty' }
    : { kind: 'other', what: 'data of an unknown kind' };
}

/** What mkfs.TYPE is told besides the device (FormatAndMount of k8s.io/mount-utils). */
export function mkfsArguments(type: string, device: string): readonly string[] {
  return [...(/^ext[234]$/.test(type) ? ['-F', '-m0'] : []), device];
}
