import type { NetOp, NetworkState } from '#native/netlink/netlink.ts';
import { servedCidrsOf } from '#agent/network/cluster-network.ts';
import type { FabricOptions } from './fabric-options.ts';
import { planServiceRoutes, podwrightRouteProtocol } from './fabric-plan.ts';

/** The node's routes to Services, whose networks may become more and fewer. */
export interface ServiceRoutes {
  /** The networks are others by now. */
  change(): void;
  /** What is missing, and what this agent has made before and nobody needs any more. */
  plan(state: NetworkState): readonly NetOp[];
}

export function createServiceRoutes(
  options: Pick<FabricOptions, 'networks' | 'serviceNetworks' | 'nodeIps'>,
): ServiceRoutes {
  const { nodeIps } = options;
  const networks = (): FabricOptions['networks'] => options.serviceNetworks?.current() ?? options.networks;
  const destinations = (): readonly string[] => networks().flatMap(servedCidrsOf);
  const former = new Set<string>();
  let known = destinations();
  return {
    change: () => {
      for (const gone of known) former.add(gone);
      known = destinations();
      for (const there of known) former.delete(there);
    },
    plan: (state) => {
      const there = new Set(state.routes.map(({ destination }) => destination));
      const isFormer = ({ destination, protocol, gateway }: NetworkState['routes'][number]): boolean =>
        former.has(destination) && protocol === podwrightRouteProtocol && gateway === undefined;
      return [
        ...state.routes
          .filter(isFormer)
          .map(({ destination }): NetOp => ({ op: 'removeRoute', destination })),
        ...planServiceRoutes({ networks: networks(), nodeIps }, state).filter(
          ({ destination }) => !there.has(destination),
        ),
      ];
    },
  };
}
