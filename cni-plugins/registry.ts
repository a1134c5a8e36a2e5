import type { CniInvoker } from '#api/cni/invocation.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import { bandwidth } from './bandwidth/bandwidth.ts';
import { bridge } from './bridge/bridge.ts';
import type { DhcpDaemon } from './dhcp/daemon.ts';
import { createDhcp } from './dhcp/dhcp.ts';
import { dummy } from './dummy/dummy.ts';
import { createFirewall } from './firewall/firewall.ts';
import type { Iptables } from './firewall/iptables.ts';
import { flannel } from './flannel/flannel.ts';
import { hostDevice } from './host-device/host-device.ts';
import { createHostLocal } from './host-local/host-local.ts';
import type { LeaseStore } from './host-local/lease-store.ts';
import { ipvlan } from './ipvlan/ipvlan.ts';
import { loopback } from './loopback/loopback.ts';
import { macvlan } from './macvlan/macvlan.ts';
import { portmap } from './portmap/portmap.ts';
import { ptp } from './ptp/ptp.ts';
import { sbr } from './sbr/sbr.ts';
import { dispatch } from './skel/dispatch.ts';
import type { CniPlugin } from './skel/plugin.ts';
import { invokeProgram } from './skel/run-program.ts';
import { staticIpam } from './static-ipam/static-ipam.ts';
import { tap } from './tap/tap.ts';
import { tuning } from './tuning/tuning.ts';
import { vlan } from './vlan/vlan.ts';
import { vrf } from './vrf/vrf.ts';

/** They make an interface. */
const linkPlugins: readonly CniPlugin[] = [
  bridge,
  dummy,
  flannel,
  hostDevice,
  ipvlan,
  loopback,
  macvlan,
  ptp,
  tap,
  vlan,
];
/** They come after those. */
const chainedPlugins: readonly CniPlugin[] = [bandwidth, portmap, sbr, tuning, vrf];

/**
 * Our plugins by the `type` that configurations name. Without `openLeases` host-local keeps its leases on disk; without `dhcp` another
 * process is the daemon. Without `iptables` its programs are run.
 */
export function createPluginRegistry(
  openLeases?: (dataDir: string) => LeaseStore,
  dhcp?: DhcpDaemon,
  iptables?: Iptables,
): ReadonlyMap<string, CniPlugin> {
  const ipamPlugins = [createHostLocal(openLeases), staticIpam, createDhcp(dhcp)];
  const plugins = [...linkPlugins, ...chainedPlugins, createFirewall(iptables), ...ipamPlugins];
  return new Map(plugins.map((plugin) => [plugin.name, plugin]));
}

/**
 * How the agent calls CNI plugins: ours in this process, any other as the program that the specification says. A
 * configuration may insist on a program by a type that is not in the registry.
 */
export function createInvoker(options: {
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly registry?: ReadonlyMap<string, CniPlugin>;
  /** Whether whoever calls DEL removes the network namespace next (see PluginHost). */
  readonly isNetnsRemovedByCaller?: boolean;
}): CniInvoker {
  const registry = options.registry ?? createPluginRegistry();
  const invoke: CniInvoker = async (name, invocation, signal) => {
    const plugin = registry.get(name);
    if (plugin === undefined) return invokeProgram(name, invocation, signal);
    signal.throwIfAborted();
    return dispatch(plugin, invocation, host, signal);
  };
  const host = {
    netlink: options.netlink,
    nft: options.nft,
    invoke,
    isNetnsRemovedByCaller: options.isNetnsRemovedByCaller ?? false,
  };
  return invoke;
}
