import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { parseLinkConfig, refuseFields, type LinkConfig } from '#cni-plugins/skel/link-config.ts';
import { planContainer } from '#cni-plugins/skel/link-plan.ts';
import { createLinkPlugin, type LinkPlan, type PlanInput } from '#cni-plugins/skel/link-plugin.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface TapConfig extends LinkConfig {
  readonly owner: number | undefined;
  readonly group: number | undefined;
  readonly multiQueue: boolean;
}

/** A link whose packets a program in the container has: a virtual machine's, as a rule. */
export const tap: CniPlugin = createLinkPlugin<TapConfig>({
  name: 'tap',
  parse: parseTapConfig,
  plan: planTap,
  planDel: (_config, { ifname }) => ({ host: [], container: [{ op: 'removeLink', name: ifname }] }),
});

/** Pure. */
export function planTap({ config, request, ipam }: Omit<PlanInput<TapConfig>, 'host'>): LinkPlan {
  const { owner, group, multiQueue, mtu, mac } = config;
  const { ifname: name, netns: path } = request;
  const hasSettings = mtu !== undefined || mac !== undefined;
  const settings = { ...(mtu === undefined ? {} : { mtu }), ...(mac === undefined ? {} : { mac }) };
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
          ...(hasSettings ? [{ op: 'setLink', name, ...settings } as const] : []),
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
  refuseFields(config, ['selinuxContext', 'bridge']);
  return {
    ...parseLinkConfig(config, args),
    owner: field.number(config, 'owner'),
    group: field.number(config, 'group'),
    multiQueue: field.boolean(config, 'multiQueue') ?? false,
  };
}
