import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseLinkConfig, refuseFields, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import { planContainer, planNotify } from '#cni-plugins/skel/link-plan.ts';
import { createLinkPlugin, type LinkPlan, type PlanInput } from '#cni-plugins/skel/link-plugin.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface TapConfig extends LinkConfig {
  readonly owner: number | undefined;
  readonly group: number | undefined;
  readonly multiQueue: boolean;
  /** A bridge in the container that it is a port of. */
  readonly bridge: string | undefined;
}

/** A link whose packets a program in the container has: a virtual machine's, as a rule. */
export const tap: CniPlugin = createLinkPlugin<TapConfig>({
  name: 'tap',
  kind: 'tun',
  parse: parseTapConfig,
  plan: planTap,
  planDel: (_config, { ifname }) => ({ host: [], container: [{ op: 'removeLink', name: ifname }] }),
});

/** Pure. */
export function planTap({ config, request, ipam }: Omit<PlanInput<TapConfig>, 'host' | 'policy'>): LinkPlan {
  const { owner, group, multiQueue, mtu, mac, bridge: master } = config;
  const { ifname: name, netns: path } = request;
  const settings = {
    ...(mtu === undefined ? {} : { mtu }),
    ...(mac === undefined ? {} : { mac }),
    ...(master === undefined ? {} : { master }),
  };
  return {
    changes: [
      {
        netns: { kind: 'path', path },
        ops: [
          {
            op: 'addTap',
            name,
            ...(owner === undefined ? {} : { owner }),
            ...(group === undefined ? {} : { group }),
            ...(multiQueue ? { multiQueue } : {}),
          },
          ...(Object.keys(settings).length === 0 ? [] : [{ op: 'setLink', name, ...settings } as const]),
          ...planNotify(name),
          ...planContainer(name, ipam),
        ],
      },
    ],
    result: {
      ...ipam,
      interfaces: [{ name, sandbox: path }],
      ips: ipam.ips.map((ip) => ({ ...ip, interface: 0 })),
    },
  };
}

function parseTapConfig(config: PluginConfig, args?: Readonly<Record<string, string>>): TapConfig {
  refuseFields(config, ['selinuxContext']);
  return {
    ...parseLinkConfig(config, args),
    owner: field.number(config, 'owner'),
    group: field.number(config, 'group'),
    multiQueue: field.boolean(config, 'multiQueue') ?? false,
    bridge: field.string(config, 'bridge') || undefined,
  };
}
