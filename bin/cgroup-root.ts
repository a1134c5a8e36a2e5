import { readFileSync } from 'node:fs';

import { PodwrightError } from '#base/errors.ts';
import type { CgroupController } from '#native/cgroup/cgroup.ts';
import { findCgroup2Mount } from '#native/cgroup/parse.ts';
import { parseMountinfo } from '#native/mount/mountinfo.ts';

/** What nodes delegate to pods, where the host has it. */
export const podControllers: readonly CgroupController[] = [
  'cpu',
  'cpuset',
  'hugetlb',
  'io',
  'memory',
  'pids',
];

/** Where cgroup v2 is mounted. @throws E_UNSUPPORTED with the remedy */
export function findCgroupRoot(): string {
  const root = findCgroup2Mount(parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')));
  if (root !== undefined) return root;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    'find cgroup v2: not mounted; mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified',
  );
}
