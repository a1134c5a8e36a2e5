import { basename, dirname } from 'node:path';
import { createCgroups } from '#native/cgroup/cgroup.linux.ts';
import type { Cgroups } from '#native/cgroup/cgroup.ts';
import { claimCgroup, defaultCgroup, markCgroup } from '#bin/ownership/own-cgroup.ts';
import { findCgroupRoot, podControllers } from '#bin/program/cgroup-root.ts';

/** Where the tree is below which pods live: given by whoever started us, or `podwright` below the mount. */
export const podsCgroup = (directory: string | undefined): string =>
  directory ?? defaultCgroup(findCgroupRoot());

/** That tree, ours. */
export async function openCgroups(directory: string | undefined): Promise<Cgroups> {
  const root = findCgroupRoot();
  const path = podsCgroup(directory);
  claimCgroup({ path, root });
  await createCgroups(dirname(path)).ensure(basename(path), podControllers);
  markCgroup(path);
  return createCgroups(path);
}
