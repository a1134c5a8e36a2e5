import { expect, it } from 'vitest';
import { contentOf, headBytes, mkfsArguments } from './device-content.ts';

const headOf = (...marks: readonly (readonly [at: number, text: string])[]): Buffer => {
  const head = Buffer.alloc(headBytes);
  for (const [at, text] of marks) head.write(text, at, 'latin1');
  return head;
};

it.each([
  { name: 'nothing', head: headOf(), want: { kind: 'empty' } },
  { name: 'an ext4', head: headOf([0x438, '\x53\xef']), want: { kind: 'fileSystem', type: 'ext4' } },
  { name: 'an xfs', head: headOf([0, 'XFSB']), want: { kind: 'fileSystem', type: 'xfs' } },
  { name: 'a btrfs', head: headOf([0x10040, '_BHRfS_M']), want: { kind: 'fileSystem', type: 'btrfs' } },
  {
    name: 'a FAT, which ends its first sector as a partition table does',
    head: headOf([0x52, 'FAT32'], [0x1fe, '\x55\xaa']),
    want: { kind: 'fileSystem', type: 'vfat' },
  },
  {
    name: 'partitions',
    head: headOf([0x1fe, '\x55\xaa']),
    want: { kind: 'other', what: 'a partition table' },
  },
  { name: 'a swap area', head: headOf([0xff6, 'SWAPSPACE2']), want: { kind: 'other', what: 'a swap area' } },
  {
    name: 'one byte of somebody',
    head: headOf([headBytes - 1, 'x']),
    want: { kind: 'other', what: 'data of an unknown kind' },
  },
  { name: 'a device of a few bytes', head: Buffer.alloc(512), want: { kind: 'empty' } },
])('$name', ({ head, want }) => {
  expect(contentOf(head)).toEqual(want);
});

it('ext2, ext3 and ext4 are made without asking, and without room for root', () => {
  expect(mkfsArguments('ext3', '/dev/x')).toEqual(['-F', '-m0', '/dev/x']);
  expect(mkfsArguments('xfs', '/dev/x')).toEqual(['/dev/x']);
});
