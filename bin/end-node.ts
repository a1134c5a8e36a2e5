import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Clock } from '#base/clock.ts';
import { masqueradeTable, podwrightRouteProtocol } from '#agent/network/fabric-plan.ts';
import { tableRef } from '#agent/proxy/table-layout.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { isWithin } from '#native/mount/mountinfo.ts';
import { ownNetns, type NetOp, type NetworkState } from '#native/netlink/netlink.ts';
import { createNetlinkWorker } from '#native/netlink/worker.ts';
import type { TableRef } from '#native/nft/nft.ts';
import { findCgroupRoot } from './cgroup-root.ts';
import { endCgroup } from './up/cleanup.ts';

/** Where a node that runs no more has what it left on the host. */
export interface NodeRemains {
  /** cgroup v2 directory of its pods; absent: podwright below the mount. */
  readonly cgroup: string | undefined;
  readonly run: string;
  readonly data: string;
  /** The address that its DNS answered on. */
  readonly clusterDns: string | undefined;
}

const bridge = 'cni0';
const tables: readonly TableRef[] = [
  tableRef('ip'),
  tableRef('ip6'),
  masqueradeTable,
  { family: 'ip', name: 'cni-portmap' },
];

/**
 * Takes away a node's pods with their cgroups, mounts and namespaces, and what the agent put into the host's network. The agent
 * must be stopped. Safe to repeat; images and volumes in `data` stay.
 */
export async function endNode(remains: NodeRemains, clock: Clock): Promise<void> {
  // Processes first: they hold the rest.
  await endCgroup(remains.cgroup ?? join(findCgroupRoot(), 'podwright'), clock);
  unmountBelow([remains.run, remains.data]);
  await rm(remains.run, { recursive: true, force: true });
  await using kernel = await createNetlinkWorker();

  const state = await kernel.netlink.state(ownNetns);
  await kernel.netlink.apply(ownNetns, planNetworkRemoval(state, remains.clusterDns));
  await kernel.nft.commit(
    ownNetns,
    tables.map((table) => ({ op: 'removeTable', table })),
  );
}

/** What is mounted on the directories themselves is the administrator's. */
function unmountBelow(directories: readonly string[]): void {
  const mounts = createMounts();
  const isOurs = (target: string): boolean =>
    directories.some((directory) => target !== directory && isWithin(target, directory));
  for (const { target } of mounts.list().toReversed()) if (isOurs(target)) mounts.unmount(target);
}

/** Pure: what of the host's network is the node's. */
export function planNetworkRemoval(state: NetworkState, clusterDns: string | undefined): readonly NetOp[] {
  const hasDns = state.addresses.some(({ address }) => address === `${clusterDns}/32`);
  return [
    ...state.routes
      .filter((route) => route.protocol === podwrightRouteProtocol)
      .map(({ destination, gateway }): NetOp => ({
        op: 'removeRoute',
        destination,
        ...(gateway === undefined ? {} : { gateway }),
      })),
    { op: 'removeLink', name: bridge },
    ...(hasDns ? [{ op: 'removeAddress', name: 'lo', address: `${clusterDns}/32` } as const] : []),
  ];
}
