import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseLinkConfig, refuseFields, type LinkConfig } from '#cni-plugins/skel/link-config.ts';

/** The configuration of the bridge plugin, as the CNI project documents it, and `routed`. */
export interface BridgeConfig extends LinkConfig {
  readonly bridge: string;
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
  readonly ipMasq: boolean;
  readonly hairpinMode: boolean;
  readonly promiscMode: boolean;
  readonly portIsolation: boolean;
  /**
   * Ours: containers have single addresses (/32) and reach each other through the gateway, as with the ptp plugin. So every
   * packet passes the host's netfilter and Service replies find their conntrack entry; without it a reply between two
   * containers of one bridge stays on layer 2 and needs the module br_netfilter.
   */
  readonly routed: boolean;
}

/** Options of the CNI project's bridge that change behaviour and that we do not have. */
const unsupported = [
  'vlan',
  'vlanTrunk',
  'macspoofchk',
  'forceAddress',
  'disableContainerInterface',
  'enabledad',
] as const;

/** @throws {E_INVALID, E_UNSUPPORTED} */
export function parseBridgeConfig(
  config: PluginConfig,
  args: Readonly<Record<string, string>> = {},
): BridgeConfig {
  refuseFields(config, unsupported);
  const backend = field.string(config, 'ipMasqBackend') ?? 'nftables';
  if (backend !== 'nftables')
    throw cniError(cniErrorCode.unsupportedField, `bridge: ipMasqBackend ${backend} is not supported`);
  const flag = (name: string): boolean => field.boolean(config, name) ?? false;
  if (flag('hairpinMode') && flag('promiscMode')) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      'bridge: hairpinMode and promiscMode exclude each other',
    );
  }
  return {
    ...parseLinkConfig(config, args),
    bridge: field.string(config, 'bridge') ?? 'cni0',
    isGateway: flag('isGateway') || flag('isDefaultGateway') || flag('routed'),
    isDefaultGateway: flag('isDefaultGateway'),
    ipMasq: flag('ipMasq'),
    hairpinMode: flag('hairpinMode'),
    promiscMode: flag('promiscMode'),
    portIsolation: flag('portIsolation'),
    routed: flag('routed'),
  };
}
