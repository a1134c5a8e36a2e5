import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { masterOf, parseLinkConfig } from '#cni-plugins/skel/link-config.ts';
import {
  comparePart,
  createMadeLinkPlugin,
  type MadeLink,
  type MadeLinkConfig,
} from '#cni-plugins/skel/made-link.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface VlanConfig extends MadeLinkConfig {
  readonly master: string;
  readonly vlanId: number;
}

/** One virtual LAN of a link of the host (802.1Q). */
export const madeVlan: MadeLink<VlanConfig> = {
  name: 'vlan',
  looks: true,
  parse: parseVlanConfig,
  linkOf: ({ config, host }) => {
    const master = masterOf('vlan', config.master, host);
    return { link: { kind: 'vlan', dev: master.name, id: config.vlanId }, master };
  },
  compare: (config, link, near) =>
    comparePart(
      link,
      { kind: 'vlan', master: config.master, mode: ['id', link.vlanId, config.vlanId] },
      near,
    ),
};

export const vlan: CniPlugin = createMadeLinkPlugin(madeVlan);

function parseVlanConfig(config: PluginConfig, args?: Readonly<Record<string, string>>): VlanConfig {
  const master = field.string(config, 'master') ?? '';
  if (master === '') throw cniError(cniErrorCode.invalidNetworkConfig, 'vlan: master is missing');
  const vlanId = field.number(config, 'vlanId') ?? -1;
  if (!Number.isInteger(vlanId) || vlanId < 0 || vlanId > 4094)
    throw cniError(cniErrorCode.invalidNetworkConfig, `vlan: vlanId ${vlanId} is not from 0 to 4094`);
  return {
    ...parseLinkConfig(config, args),
    isInContainer: field.boolean(config, 'linkInContainer') ?? false,
    master,
    vlanId,
  };
}
