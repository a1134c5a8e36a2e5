import { join } from 'node:path';
import type { Clock } from '#base/clock.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { createPodNetwork } from '#agent/network/cni-pod-network.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import { startDhcpDaemon } from '#cni-plugins/dhcp/daemon.ts';
import { openDhcpLink } from '#cni-plugins/dhcp/open-link.linux.ts';
import { createInvoker, createPluginRegistry } from '#cni-plugins/registry.ts';
import type { NetlinkWorker } from '#native/netlink/worker.ts';
import type { AgentPaths } from '#bin/paths.ts';

export interface PodNetworkParts {
  readonly paths: Pick<AgentPaths, 'data' | 'run'>;
  readonly kernel: NetlinkWorker;
  /** Of a pod's addresses, the one that all use who know but one. */
  readonly firstFamily: IpFamily;
  /** Default: the node's own. */
  readonly conflistDir?: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Where a node's own network configuration is. */
export const conflistDirOf = (paths: Pick<AgentPaths, 'data'>): string => join(paths.data, 'cni', 'net.d');

/** The node's pod network by CNI, and the leases of its pods where that is a network of `dhcp`: kept in RUN, as pods' own state is. */
export async function openPodNetwork(
  stack: AsyncDisposableStack,
  { paths, kernel, firstFamily, conflistDir = conflistDirOf(paths), clock, logger }: PodNetworkParts,
): Promise<PodNetwork> {
  const { netlink } = kernel;
  const dhcp = stack.use(
    await startDhcpDaemon({
      netlink,
      openLink: (netns, ifname) => openDhcpLink(netlink, netns, ifname),
      stateDir: join(paths.run, 'dhcp'),
      clock,
      random: Math.random,
      onProblem: (problem) => logger.warn({ problem }, 'DHCP'),
    }),
  );
  const registry = createPluginRegistry(undefined, dhcp);
  return createPodNetwork({
    invoke: createInvoker({ ...kernel, registry, isNetnsRemovedByCaller: true }),
    conflistDir,
    // The node's own first: several nodes of one machine share the others.
    binDirs: [join(paths.data, 'cni', 'bin'), '/opt/cni/bin', '/usr/lib/cni'],
    cacheDir: join(paths.run, 'cni'),
    firstFamily,
  });
}
