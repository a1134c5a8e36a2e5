import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { MacvlanMode } from '#native/netlink/netlink.ts';
import { masterOf, parseLinkConfig } from '#cni-plugins/skel/link-config.ts';
import {
  comparePart,
  createMadeLinkPlugin,
  type MadeLink,
  type MadeLinkConfig,
} from '#cni-plugins/skel/made-link.ts';
import { planNotify } from '#cni-plugins/skel/link-plan.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface MacvlanConfig extends MadeLinkConfig {
  readonly master: string | undefined;
  readonly mode: MacvlanMode;
  /** Undefined: the kernel's own. */
  readonly broadcastQueueLength: number | undefined;
}

const modes: readonly MacvlanMode[] = ['bridge', 'private', 'vepa', 'passthru'];

/** A hardware address of the container's own on a link of the host. */
export const madeMacvlan: MadeLink<MacvlanConfig> = {
  name: 'macvlan',
  looks: true,
  parse: parseMacvlanConfig,
  linkOf: ({ config, host }) => {
    const master = masterOf('macvlan', config.master, host);
    const { mode, broadcastQueueLength } = config;
    const queue = broadcastQueueLength === undefined ? {} : { broadcastQueueLength };
    return { link: { kind: 'macvlan', dev: master.name, mode, ...queue }, master };
  },
  prepare: (_config, ifname) => planNotify(ifname),
  compare: (config, link, near) =>
    comparePart(
      link,
      { kind: 'macvlan', master: config.master || undefined, mode: ['mode', link.macvlanMode, config.mode] },
      near,
    ),
};

export const macvlan: CniPlugin = createMadeLinkPlugin(madeMacvlan);

function parseMacvlanConfig(config: PluginConfig, args?: Readonly<Record<string, string>>): MacvlanConfig {
  const text = field.string(config, 'mode') || 'bridge';
  const mode = modes.find((known) => known === text);
  if (mode === undefined) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `macvlan: mode ${JSON.stringify(text)} is not one of ${modes.join(', ')}`,
    );
  }
  const queue = field.number(config, 'bcqueuelen') ?? 0;
  if (!Number.isInteger(queue) || queue < 0 || queue >= 2 ** 32)
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `macvlan: bcqueuelen ${queue} is not from 0 to ${2 ** 32 - 1}`,
    );
  return {
    ...parseLinkConfig(config, args),
    isInContainer: field.boolean(config, 'linkInContainer') ?? false,
    master: field.string(config, 'master'),
    mode,
    broadcastQueueLength: queue === 0 ? undefined : queue,
  };
}
