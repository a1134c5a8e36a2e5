import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';
import { hostVethName, isHostVethName, type LinkRequest } from '#cni-plugins/skel/link-plan.ts';
import { createLinkPlugin } from '#cni-plugins/skel/link-plugin.ts';
import { planMasquerade } from '#cni-plugins/skel/masquerade.ts';
import type { NetworkState } from '#native/netlink/netlink.ts';
import { gatewayLink, parseBridgeConfig, type BridgeConfig } from './bridge-config.ts';
import { planMacSpoofCheck } from './mac-spoof-check.ts';
import { macOfContainer, planBridgeAdd, planBridgeDel } from './plan.ts';

/** Joins containers to a bridge of the host, and makes the host their gateway where asked to. */
export const bridge: CniPlugin = createLinkPlugin<BridgeConfig>({
  name: 'bridge',
  kind: 'veth',
  parse: parseBridgeConfig,
  reachesServers: true,
  looks: ({ forceAddress, isGateway }) => forceAddress && isGateway,
  plan: planBridgeAdd,
  planDel: (_config, request) => planBridgeDel(request),
  masquerades: (config, request, ips) => [
    ...(config.ipMasq ? planMasquerade(config.network, outsideOf(config), ips) : []),
    ...(config.macSpoofCheck
      ? planMacSpoofCheck(hostVethName(request), macOfContainer(config, request, ips))
      : []),
  ],
  settles: ({ detectsDuplicates, isLeftDown }) => detectsDuplicates && !isLeftDown,
  isLeftDown: (config) => config.isLeftDown,
  compareHost,
  planGc: (config, valid, { links }) => {
    const kept = new Set(
      valid.map(({ containerID: containerId, ifname }) => hostVethName({ containerId, ifname })),
    );
    const index = links.find((link) => link.name === config.bridge)?.index;
    return links
      .filter((link) => index !== undefined && link.master === index)
      .filter(({ name }) => isHostVethName(name) && !kept.has(name))
      .map(({ name }) => ({ op: 'removeLink', name }));
  },
});

/** The link by which the host is reached. */
function outsideOf({ bridge: name, vlans }: BridgeConfig): string {
  return vlans?.native === undefined ? name : gatewayLink(name, vlans.native);
}

function compareHost(config: BridgeConfig, request: LinkRequest, state: NetworkState): readonly string[] {
  const master = state.links.find((link) => link.name === config.bridge);
  const port = state.links.find((link) => link.name === hostVethName(request));
  if (master === undefined) return [`bridge ${config.bridge} is missing`];
  if (port === undefined) return [`${hostVethName(request)} is missing`];
  return port.master === master.index ? [] : [`${port.name} is not a port of ${config.bridge}`];
}
