import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { MacvlanMode } from '#native/netlink/netlink.ts';
import { masterOf, parseLinkConfig, refuseFields, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import { createMadeLinkPlugin, planNotify, type MadeLink } from '#cni-plugins/skel/made-link.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface MacvlanConfig extends LinkConfig {
  readonly master: string | undefined;
  readonly mode: MacvlanMode;
}

const modes: readonly MacvlanMode[] = ['bridge', 'private', 'vepa', 'passthru'];

/** A hardware address of the container's own on a link of the host. */
export const madeMacvlan: MadeLink<MacvlanConfig> = {
  name: 'macvlan',
  looks: true,
  parse: parseMacvlanConfig,
  linkOf: ({ config, host }) => {
    const master = masterOf('macvlan', config.master, host);
    return { link: { kind: 'macvlan', dev: master.name, mode: config.mode }, master };
  },
  prepare: (_config, ifname) => planNotify(ifname),
};

export const macvlan: CniPlugin = createMadeLinkPlugin(madeMacvlan);

function parseMacvlanConfig(config: PluginConfig, args?: Readonly<Record<string, string>>): MacvlanConfig {
  refuseFields(config, ['linkInContainer', 'bcqueuelen']);
  const text = field.string(config, 'mode') || 'bridge';
  const mode = modes.find((known) => known === text);
  if (mode === undefined) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `macvlan: mode ${JSON.stringify(text)} is not one of ${modes.join(', ')}`,
    );
  }
  return { ...parseLinkConfig(config, args), master: field.string(config, 'master'), mode };
}
