import { existsSync } from 'node:fs';

import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { describeKept, isOwned, proveOwned, removeOwned } from '#bin/ownership/remove-owned.ts';
import { clusterId, clusterRunDir } from '#bin/paths.ts';
import { endCgroup, removeRunDirectory } from './cleanup.ts';
import { clusterCgroupsOf } from './cluster-cgroups.ts';
import { endLauncher, findLauncher } from './end-launcher.ts';
import { hasNat, removeNat, type NatPorts } from './outside/nat.ts';
import { readLeftState, removeState } from './state.ts';

export interface DownResult {
  readonly stopped: boolean; // something ran
  readonly purged: boolean;
  /** What of the data directory stays after all, and why. */
  readonly kept: string | undefined;
}

/**
 * Stops the cluster of a data directory, whoever started it and however it ended; with `purge` its data goes as well.
 * Succeeds if there is nothing to stop. With `purge`, nothing is stopped before the directory is proven ours.
 *
 * @throws E_NOT_FOUND when there is no such directory and nothing runs; E_PERMISSION, E_USAGE when it is not ours
 */
export async function bringDown(
  dataDir: string,
  options: {
    readonly purge: boolean;
    readonly clock: Clock;
    readonly cgroupRoot: string;
    /** The machine's own network, of which a cluster may have a part (`--egress=nat`). */
    readonly network: () => NatPorts;
  },
): Promise<DownResult> {
  const { clock, purge } = options;
  const runDir = clusterRunDir(dataDir);
  const owned = purge ? proveOwned(dataDir, 'up') : undefined;
  const { state, damage } = await readLeftState(dataDir);
  // A file of that name in a directory of somebody else is none of ours.
  if (damage !== undefined && !isOwned(dataDir, 'up')) {
    throw new PodwrightError(
      'E_INVALID',
      `stop the cluster of ${dataDir}: it is not a directory of podwright up, and its up.json is damaged; name the right one with --data`,
      { cause: damage },
    );
  }
  const launcher = findLauncher(dataDir, state);
  const cgroups = clusterCgroupsOf(dataDir, options.cgroupRoot);
  const stopped = launcher !== undefined || state !== undefined || cgroups.length > 0;
  if (!stopped && !existsSync(dataDir)) {
    throw new PodwrightError(
      'E_NOT_FOUND',
      `stop the cluster of ${dataDir}: no such directory; name it with --data DIR`,
    );
  }
  if (launcher !== undefined) await endLauncher(launcher, clock);
  // Whatever the launcher could not do, because it was killed or hung.
  for (const cgroup of cgroups) await endCgroup(cgroup, clock);
  await removeRunDirectory(runDir);
  const id = clusterId(dataDir);
  if (isOwned(dataDir, 'up') && (await hasNat(dataDir, id))) await removeNat(dataDir, id, options.network());
  if (state !== undefined || damage !== undefined) await removeState(dataDir);
  if (owned === undefined || !existsSync(dataDir)) return { stopped, purged: purge, kept: undefined };
  return { stopped, purged: true, kept: describeKept(dataDir, await removeOwned(owned)) };
}
