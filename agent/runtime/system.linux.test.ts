import { expect, it } from 'vitest';
import { parseMountinfo } from '#native/mount/mountinfo.ts';
import { unsharedMountOf } from './system.linux.ts';

const mounts = parseMountinfo(
  [
    '1 0 8:1 / / rw shared:1 - ext4 /dev/a rw',
    '2 1 8:2 / /mnt rw - ext4 /dev/b rw',
    '3 1 8:3 / /mnt/sub rw shared:2 master:1 - ext4 /dev/c rw',
    '4 1 8:4 / /mnt/sub rw master:1 - ext4 /dev/d rw',
  ].join('\n'),
);

it.each([
  { path: '/data/x', want: undefined },
  { path: '/mnt', want: '/mnt' },
  { path: '/mnt/other', want: '/mnt' },
  { path: '/mntx', want: undefined },
  { path: '/mnt/sub/x', want: '/mnt/sub' },
])('unsharedMountOf() $path is $want', ({ path, want }) => expect(unsharedMountOf(mounts, path)).toBe(want));
