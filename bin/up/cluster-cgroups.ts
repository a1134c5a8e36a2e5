import { findCgroupRoot } from '#bin/program/cgroup-root.ts';
import { markerIdOf } from '#bin/ownership/marker.ts';
import { findClusterCgroups } from '#bin/ownership/own-cgroup.ts';
import { clusterCgroupName } from '#bin/paths.ts';

/** The cgroups of the cluster of a data directory, wherever `up` stood when it made them; one, or none. @throws E_INVALID, E_UNSUPPORTED */
export function clusterCgroupsOf(dataDir: string, mount: string = findCgroupRoot()): readonly string[] {
  return findClusterCgroups(mount, clusterCgroupName(dataDir), markerIdOf(dataDir, 'up'));
}
