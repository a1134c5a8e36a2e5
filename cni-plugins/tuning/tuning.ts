import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { NetOp } from '#native/netlink/netlink.ts';
import { createChainedPlugin, type ChainedInput } from '#cni-plugins/skel/chained-plugin.ts';
import { parseLinkConfig } from '#cni-plugins/skel/link-config.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface TuningConfig {
  readonly sysctls: readonly (readonly [key: string, value: string])[];
  readonly link: {
    readonly mac?: string;
    readonly mtu?: number;
    readonly promiscuous?: boolean;
    readonly allMulticast?: boolean;
    readonly txQueueLength?: number;
  };
}

/** Settings of the container's interface and of its namespace's network. They end with both, so DEL has nothing to do. */
export const tuning: CniPlugin = createChainedPlugin<TuningConfig>({
  name: 'tuning',
  parse: parseTuning,
  plan: planTuning,
  planDel: () => [],
  compare: compareTuning,
});

/** Pure. The link is down while its hardware address changes: some drivers refuse it else, and routes are then made anew. */
export function planTuning({
  config,
  request,
  previous,
}: ChainedInput<TuningConfig>): ReturnType<Parameters<typeof createChainedPlugin<TuningConfig>>[0]['plan']> {
  const { ifname, netns: path } = request;
  const ops: readonly NetOp[] = [
    ...config.sysctls.map(([key, value]): NetOp => ({
      op: 'setSysctl',
      key: key.replaceAll('IFNAME', ifname),
      value,
    })),
    ...(Object.keys(config.link).length === 0
      ? []
      : [{ op: 'setLink', name: ifname, ...config.link } as const]),
  ];
  const { mac, mtu } = config.link;
  const interfaces = previous.interfaces.map((item) =>
    item.name === ifname && item.sandbox !== undefined
      ? { ...item, ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) }
      : item,
  );
  return { changes: [{ netns: { kind: 'path', path }, ops }], result: { ...previous, interfaces } };
}

function compareTuning({ config, request, container }: ChainedInput<TuningConfig>): readonly string[] {
  const link = container.links.find(({ name }) => name === request.ifname);
  if (link === undefined) return [`${request.ifname} is missing`];
  const { promiscuous, allMulticast, ...rest } = config.link;
  const wanted = { ...rest, isPromiscuous: promiscuous, isAllMulticast: allMulticast };
  const has: Readonly<Record<string, unknown>> = { ...link };
  return Object.entries(wanted)
    .filter(([name, value]) => value !== undefined && has[name] !== value)
    .map(([name, value]) => `${request.ifname}: ${name} is ${String(has[name])}, not ${String(value)}`);
}

/** @throws {E_INVALID} for a sysctl that is not of the network: it would be the host's */
function parseTuning(config: PluginConfig, args?: Readonly<Record<string, string>>): TuningConfig {
  const { mac, mtu } = parseLinkConfig(config, args);
  const sysctls = Object.entries(field.object(config, 'sysctl') ?? {}).map(([name, value]) => {
    // As sysctl(8): the separator that comes first is the separator, the other is part of a name.
    const isSlashed = /^[^.]*\//.test(name);
    const key = isSlashed ? name : name.replaceAll(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
    const parts = key.split('/');
    if (parts[0] !== 'net' || parts.some((part) => part === '' || part === '..')) {
      throw cniError(
        cniErrorCode.invalidNetworkConfig,
        `tuning: sysctl ${name} is not one of net., which a container has of its own`,
      );
    }
    if (typeof value !== 'string')
      throw cniError(cniErrorCode.decodingFailure, `tuning: sysctl ${name}: not a string`);
    return [key, value] as const;
  });
  const [promiscuous, allMulticast] = [field.boolean(config, 'promisc'), field.boolean(config, 'allmulti')];
  const txQueueLength = field.number(config, 'txQLen');
  return {
    sysctls,
    link: {
      ...(mac === undefined ? {} : { mac }),
      ...(mtu === undefined ? {} : { mtu }),
      ...(promiscuous === true ? { promiscuous } : {}),
      ...(allMulticast === undefined ? {} : { allMulticast }),
      ...(txQueueLength === undefined ? {} : { txQueueLength }),
    },
  };
}
