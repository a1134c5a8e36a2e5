import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseResult } from '#api/cni/result.ts';
import type { IpvlanMode } from '#native/netlink/netlink.ts';
import { masterOf, parseLinkConfig } from '#cni-plugins/skel/link-config.ts';
import {
  comparePart,
  createMadeLinkPlugin,
  type MadeLink,
  type MadeLinkConfig,
} from '#cni-plugins/skel/made-link.ts';
import { planNotify } from '#cni-plugins/skel/link-plan.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface IpvlanConfig extends MadeLinkConfig {
  readonly master: string | undefined;
  readonly mode: IpvlanMode;
  /** Of the plugin before, where one is: the link that it made is the master of one that names none. */
  readonly previousLinks: readonly string[] | undefined;
}

const modes: readonly IpvlanMode[] = ['l2', 'l3', 'l3s'];

/** Addresses of the container's own under the hardware address of a link of the host. */
export const madeIpvlan: MadeLink<IpvlanConfig> = {
  name: 'ipvlan',
  looks: true,
  parse: parseIpvlanConfig,
  takesPrevious: true,
  linkOf: ({ config, host }) => {
    const master = masterOf('ipvlan', config.master || previousLink(config), host);
    return { link: { kind: 'ipvlan', dev: master.name, mode: config.mode }, master };
  },
  prepare: (_config, ifname) => planNotify(ifname),
  compare: (config, link, near) =>
    comparePart(
      link,
      { kind: 'ipvlan', master: config.master || undefined, mode: ['mode', link.ipvlanMode, config.mode] },
      near,
    ),
};

export const ipvlan: CniPlugin = createMadeLinkPlugin(madeIpvlan);

function previousLink({ previousLinks }: IpvlanConfig): string | undefined {
  if (previousLinks === undefined) return undefined;
  const [name, ...others] = previousLinks;
  if (name !== undefined && others.length === 0) return name;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    'ipvlan: master is missing, and prevResult has not one interface alone to be it',
  );
}

function parseIpvlanConfig(config: PluginConfig, args?: Readonly<Record<string, string>>): IpvlanConfig {
  const text = field.string(config, 'mode') || 'l2';
  const mode = modes.find((known) => known === text);
  if (mode === undefined) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `ipvlan: mode ${JSON.stringify(text)} is not one of ${modes.join(', ')}`,
    );
  }
  // It has its master's hardware address and no other.
  const { mac: _ignored, ...common } = parseLinkConfig(config, args);
  const previous = field.object(config, 'prevResult');
  return {
    ...common,
    mac: undefined,
    previousLinks: previous && parseResult(previous).interfaces.map(({ name }) => name),
    isInContainer: field.boolean(config, 'linkInContainer') ?? false,
    master: field.string(config, 'master'),
    mode,
  };
}
