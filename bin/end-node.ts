import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import { formatCidr, hostCidr, parseIp } from '#base/ip.ts';
import { defaultPodCidrs, loadConflists } from '#agent/network/conflist-dir.ts';
import { masqueradeTableOf, podwrightRouteProtocol } from '#agent/network/fabric/fabric-plan.ts';
import { firstIpsOf } from '#agent/network/fabric/paths.ts';
import { tunnelDevices } from '#agent/network/fabric/tunnel.ts';
import { policyTable } from '#agent/network/policy/policy-layout.ts';
import { removeIptables } from '#agent/proxy/iptables/remove-iptables.ts';
import { tableRef } from '#agent/proxy/table-layout.ts';
import { tablesOf } from '#cni-plugins/left-tables.ts';
import { loopbackTable } from '#cni-plugins/portmap/plan.ts';
import { unmountBelow } from '#native/fs/unmount-below.ts';
import { createMounts } from '#native/mount/mount.linux.ts';
import { ownNetns, type NetOp, type NetworkState } from '#native/netlink/netlink.ts';
import { createNetlinkWorker } from '#native/netlink/worker.ts';
import type { NftOp, TableRef } from '#native/nft/nft.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';
import { findCgroupRoot } from './program/cgroup-root.ts';
import { defaultCgroup, proveCgroup } from './ownership/own-cgroup.ts';
import { type Owned, proveOwned, removeOwned } from './ownership/remove-owned.ts';
import { isEntryOf } from './ownership/role.ts';
import { endCgroup } from './up/cleanup.ts';

/** Where a node that runs no more has what it left on the host. */
export interface NodeRemains {
  /** cgroup v2 directory of its pods; absent: podwright below the mount. */
  readonly cgroup: string | undefined;
  readonly run: string;
  readonly data: string;
  /** The addresses that its DNS answered on. */
  readonly clusterDns: readonly string[];
}

const bridge = 'cni0';
const tables: readonly TableRef[] = [
  tableRef('ip'),
  tableRef('ip6'),
  policyTable('ip'),
  policyTable('ip6'),
  masqueradeTableOf(4),
  masqueradeTableOf(6),
  { family: 'ip', name: 'cni-portmap' },
  { family: 'ip6', name: 'cni-portmap' },
  { family: 'ip', name: 'cni-portmap-masquerade' },
  { family: 'ip6', name: 'cni-portmap-masquerade' },
  { family: 'ip', name: 'cni-portmap-neighbours' },
  { family: 'ip6', name: 'cni-portmap-neighbours' },
];

/** A node's remains, each proven to be one that podwright made. */
export interface ProvenRemains {
  readonly cgroup: string;
  readonly run: Owned | undefined; // undefined: there is none
  readonly data: Owned | undefined;
  readonly clusterDns: readonly string[];
}

/** Looks and changes nothing. @throws E_USAGE, E_PERMISSION: see proveOwned, proveCgroup */
export function proveRemains(remains: NodeRemains): ProvenRemains {
  const root = findCgroupRoot();
  const cgroup = remains.cgroup ?? defaultCgroup(root);
  proveCgroup({ path: cgroup, root });
  return {
    cgroup,
    run: proveOwned(remains.run, 'run', '--run'),
    data: proveOwned(remains.data, 'agent'),
    clusterDns: remains.clusterDns,
  };
}

/**
 * Takes away a node's pods with their cgroups, mounts and namespaces, and what the agent put into the host's network. The agent
 * must be stopped. Safe to repeat; images and volumes in `data` stay.
 */
export async function endNode(remains: ProvenRemains, clock: Clock): Promise<void> {
  const { cgroup, run, data } = remains;
  // Processes first: they hold the rest.
  await endCgroup(cgroup, clock);
  const mounts = createMounts();
  const isAgents = (place: string): boolean => isEntryOf('agent', place.split('/')[0] ?? '');
  if (data !== undefined) unmountBelow(data.path, mounts, isAgents);
  if (run !== undefined) {
    unmountBelow(run.path, mounts);
    await removeOwned(run);
  }
  await using kernel = await createNetlinkWorker();

  const state = await kernel.netlink.state(ownNetns);
  const conflistDir = data === undefined ? undefined : join(data.path, 'cni', 'net.d');
  const fabricIps = conflistDir === undefined ? [] : firstIpsOf(defaultPodCidrs(conflistDir));
  const networks = conflistDir === undefined ? [] : loadConflists(conflistDir);
  await kernel.netlink.apply(ownNetns, planNetworkRemoval(state, [...remains.clusterDns, ...fabricIps]));
  // Once the node's bridge is gone: what still has the setting is not its own.
  const left = await kernel.netlink.state(ownNetns);
  const names = ['all', ...left.links.map(({ name }) => name)];
  const keys = names.map((name) => `net/ipv4/conf/${name}/route_localnet`);
  const routesLoopback = await kernel.netlink.sysctls(ownNetns, keys);
  await kernel.nft.commit(ownNetns, planTableRemoval(routesLoopback, networks.flatMap(tablesOf)));
  await removeIptables(createXtables(process.env, kernel.nft));
}

/**
 * Pure: which tables go. That which keeps packets of 127.0.0.0/8 on the host stays, or comes in the place of the proxy's, while any interface
 * may send them elsewhere (`routesLoopback`: route_localnet of each): another runtime's portmap needs that, or all interfaces are told so for
 * node ports at 127.0.0.1, which a proxy in mode iptables does and, as kube-proxy, does not take back. `ofNetworks`: those of the node's own
 * configurations; tables of the same kind by other names may be another runtime's, which has our plugins as programs.
 */
export function planTableRemoval(
  routesLoopback: readonly (string | undefined)[],
  ofNetworks: readonly TableRef[] = [],
): readonly NftOp[] {
  const isNeeded = routesLoopback.some((value) => value !== undefined && value !== '0');
  return [
    isNeeded
      ? { op: 'replaceTable', table: loopbackTable }
      : { op: 'removeTable', table: { family: loopbackTable.family, name: loopbackTable.name } },
    ...[...tables, ...ofNetworks].map((table): NftOp => ({ op: 'removeTable', table })),
  ];
}

/** Pure: what of the host's network is the node's. `ownIps`: those that it has on lo, of its DNS and of its ranges. */
export function planNetworkRemoval(state: NetworkState, ownIps: readonly string[]): readonly NetOp[] {
  const answered = new Set(
    ownIps.flatMap((text) => parseIp(text) ?? []).map((ip) => formatCidr(hostCidr(ip))),
  );
  const own = state.addresses.map(({ address }) => address).filter((address) => answered.has(address));
  return [
    ...state.routes
      .filter((route) => route.protocol === podwrightRouteProtocol)
      .map(({ destination, gateway }): NetOp => ({
        op: 'removeRoute',
        destination,
        ...(gateway === undefined ? {} : { gateway }),
      })),
    { op: 'removeLink', name: bridge },
    ...Object.values(tunnelDevices)
      .filter((name) => state.links.some((link) => link.name === name))
      .map((name): NetOp => ({ op: 'removeLink', name })),
    ...own.map((address): NetOp => ({ op: 'removeAddress', name: 'lo', address })),
  ];
}
