import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseIpMasq, parseLinkConfig, type LinkConfig } from '#cni-plugins/skel/link-config.ts';

/** The configuration of the bridge plugin, as the CNI project documents it, and `routed`. */
export interface BridgeConfig extends LinkConfig {
  readonly bridge: string;
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
  readonly ipMasq: boolean;
  readonly hairpinMode: boolean;
  readonly promiscMode: boolean;
  readonly portIsolation: boolean;
  /** Frames of another hardware address than the container's are dropped. */
  readonly macSpoofCheck: boolean;
  /** The link of the container stays down: who uses it brings it up. It has no address then. */
  readonly isLeftDown: boolean;
  /** What its port may send and get besides what has no tag; undefined: the bridge keeps no VLANs apart. */
  readonly vlans: BridgeVlans | undefined;
  /**
   * Ours: containers have single addresses (/32) and reach each other through the gateway, as with the ptp plugin. So every
   * packet passes the host's netfilter and Service replies find their conntrack entry; without it a reply between two
   * containers of one bridge stays on layer 2 and needs the module br_netfilter.
   */
  readonly routed: boolean;
  /** The kernel asks the bridge whether somebody has an address of IPv6 already, and ADD waits for it. */
  readonly detectsDuplicates: boolean;
  /** Another address of the gateway's family goes where IPv4 has one, or IPv6 one of the same subnet. */
  readonly forceAddress: boolean;
}

export interface BridgeVlans {
  /** Of frames without a tag; undefined: the bridge's own, VLAN 1. */
  readonly native: number | undefined;
  /** Whether the bridge's own stays beside it. */
  readonly keepsDefault: boolean;
  /** With tags. */
  readonly trunk: readonly { readonly first: number; readonly last: number }[];
}

/** IEEE 802.1Q: 0 and 4095 are no VLANs. */
const vlanMax = 4094;
/** More is a mistake: ranges may be as wide as all of them. */
const trunkMax = 128;

/** @throws {E_INVALID, E_UNSUPPORTED} */
export function parseBridgeConfig(
  config: PluginConfig,
  args: Readonly<Record<string, string>> = {},
): BridgeConfig {
  const flag = (name: string): boolean => field.boolean(config, name) ?? false;
  if (flag('hairpinMode') && flag('promiscMode')) {
    throw invalid('hairpinMode and promiscMode exclude each other');
  }
  const common = parseLinkConfig(config, args);
  if (flag('disableContainerInterface') && common.ipam !== undefined)
    throw invalid('disableContainerInterface leaves the link down, and ipam would give it an address');
  const bridge = field.string(config, 'bridge') ?? 'cni0';
  const vlans = parseVlans(config);
  const isGateway = flag('isGateway') || flag('isDefaultGateway') || flag('routed');
  if (isGateway && vlans?.native !== undefined && gatewayLink(bridge, vlans.native).length > 15)
    throw invalid(
      `the gateway's link ${gatewayLink(bridge, vlans.native)} would have more than 15 characters`,
    );
  return {
    ...common,
    bridge,
    isGateway,
    isDefaultGateway: flag('isDefaultGateway'),
    ipMasq: parseIpMasq(config),
    hairpinMode: flag('hairpinMode'),
    promiscMode: flag('promiscMode'),
    portIsolation: flag('portIsolation'),
    macSpoofCheck: flag('macspoofchk'),
    isLeftDown: flag('disableContainerInterface'),
    vlans,
    routed: flag('routed'),
    detectsDuplicates: flag('enabledad'),
    forceAddress: flag('forceAddress'),
  };
}

/** The host's own end in a VLAN: what has the gateway's address. */
export function gatewayLink(bridge: string, vlan: number): string {
  return `${bridge}.${vlan}`;
}

/** `vlan`, and `vlanTrunk`: `[{ id }, { minID, maxID }]`. */
function parseVlans(config: PluginConfig): BridgeVlans | undefined {
  const native = field.number(config, 'vlan') ?? 0;
  if (native !== 0) checkVlan('vlan', native);
  const items = field.objects(config, 'vlanTrunk');
  if (items.length > trunkMax) throw invalid(`vlanTrunk has more than ${trunkMax} items`);
  const trunk = items.flatMap((item) => {
    const [id, min, max] = ['id', 'minID', 'maxID'].map((name) => field.number(item, name));
    if ((min === undefined) !== (max === undefined))
      throw invalid('vlanTrunk: minID and maxID are both set or neither');
    const ranges = [
      ...(min === undefined || max === undefined ? [] : [{ first: min, last: max }]),
      ...(id === undefined ? [] : [{ first: id, last: id }]),
    ];
    if (ranges.length === 0) throw invalid('vlanTrunk: an item has id, or minID and maxID');
    for (const { first, last } of ranges) {
      for (const each of [first, last]) checkVlan('vlanTrunk', each);
      if (first > last) throw invalid(`vlanTrunk: minID ${first} is more than maxID ${last}`);
    }
    return ranges;
  });
  if (native === 0 && trunk.length === 0) return undefined;
  const keepsDefault = field.boolean(config, 'preserveDefaultVlan') ?? true;
  return { native: native === 0 ? undefined : native, keepsDefault, trunk };
}

function checkVlan(name: string, id: number): void {
  if (!Number.isInteger(id) || id < 1 || id > vlanMax)
    throw invalid(`${name} ${id} is not from 1 to ${vlanMax}`);
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `bridge: ${message}`);
}
