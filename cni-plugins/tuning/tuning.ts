import { existsSync, readFileSync } from 'node:fs';
import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { NetOp } from '#native/netlink/netlink.ts';
import { createChainedPlugin, type ChainedInput } from '#cni-plugins/skel/chained-plugin.ts';
import { parseLinkConfig } from '#cni-plugins/skel/link-config.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface TuningConfig {
  readonly sysctls: readonly (readonly [key: string, value: string])[];
  /** Where it is kept how links were. */
  readonly dataDir: string;
  readonly link: {
    readonly mac?: string;
    readonly mtu?: number;
    readonly promiscuous?: boolean;
    readonly allMulticast?: boolean;
    readonly txQueueLength?: number;
  };
}

const dataDirDefault = '/run/cni/tuning';
/** Regular expressions, one a line: where the file is there, no other sysctls are set. */
const allowlistPath = '/etc/cni/tuning/allowlist.conf';

/**
 * Settings of the container's interface and of its namespace's network. They end with both, but for those of a link that goes back to
 * the host (host-device): DEL, which comes before that plugin's, sets it as it was.
 */
const settings: CniPlugin = createChainedPlugin<TuningConfig>({
  name: 'tuning',
  parse: parseTuning,
  plan: planTuning,
  keeps: { directory: ({ dataDir }) => dataDir, take: takeLink },
  planDel: ({ request, container }, kept) => {
    const link = kept === undefined ? {} : readLink(kept);
    const isThere = container.links.some(({ name }) => name === request.ifname);
    if (!isThere || Object.keys(link).length === 0) return [];
    const op: NetOp = { op: 'setLink', name: request.ifname, ...link };
    return [{ netns: { kind: 'path', path: request.netns }, ops: [op] }];
  },
  compare: compareTuning,
});

export const tuning: CniPlugin = {
  ...settings,
  add: async (call, host, signal) => {
    const list = existsSync(allowlistPath) ? readFileSync(allowlistPath, 'utf8') : undefined;
    const refused = refusedSysctl(Object.keys(sysctlsIn(call.config)), list);
    if (refused === undefined) return settings.add(call, host, signal);
    const message = `tuning: sysctl ${refused} is none of those that ${allowlistPath} allows`;
    throw cniError(cniErrorCode.invalidNetworkConfig, message);
  },
  check: async (call, host, signal) => {
    await settings.check(call, host, signal);
    const wanted = parseTuning(call.config, call.args).sysctls.map(
      ([key, value]) => [key.replaceAll('IFNAME', call.ifname), value] as const,
    );
    const keys = wanted.map(([key]) => key);
    const found = await host.netlink.sysctls({ kind: 'path', path: call.netns }, keys);
    const others = wanted.flatMap(([key, value], i) =>
      wordsOf(found[i]) === wordsOf(value) ? [] : [`${key} is ${found[i] ?? 'missing'}, not ${value}`],
    );
    if (others.length > 0)
      throw cniError(cniErrorCode.unknownContainer, `tuning CHECK: ${others.join('; ')}`);
  },
};

/** The kernel puts tabs between the numbers of a sysctl that has several. */
const wordsOf = (value: string | undefined): string | undefined => value?.trim().replaceAll(/\s+/g, ' ');

/** What a runtime says of this container (`args.cni`), which goes before the network's. */
const argsIn = (config: PluginConfig): JsonObject =>
  field.object(field.object(config, 'args') ?? {}, 'cni') ?? {};

const sysctlsIn = (config: PluginConfig): JsonObject => ({
  ...field.object(config, 'sysctl'),
  ...field.object(argsIn(config), 'sysctl'),
});

/** The first name that no line of the list matches; without a list all may be set. Pure. @throws code 7 for a line that is no expression */
export function refusedSysctl(names: readonly string[], list: string | undefined): string | undefined {
  if (list === undefined) return undefined;
  const lines = list.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
  const allowed = lines.map((line) => {
    try {
      return new RegExp(line);
    } catch (cause) {
      throw cniError(cniErrorCode.invalidNetworkConfig, `tuning: ${allowlistPath}: ${line}`, { cause });
    }
  });
  return names.find((name) => !allowed.some((expression) => expression.test(name)));
}

/** Of the link what will be changed, in the words of the configuration. Pure. */
function takeLink({ config, request, container }: ChainedInput<TuningConfig>): JsonObject | undefined {
  const found = container.links.find(({ name }) => name === request.ifname);
  if (found === undefined || Object.keys(config.link).length === 0) return undefined;
  const { mac, mtu, promiscuous, allMulticast, txQueueLength } = config.link;
  return {
    ...(mac === undefined || found.mac === undefined ? {} : { mac: found.mac }),
    ...(mtu === undefined ? {} : { mtu: found.mtu }),
    ...(promiscuous === undefined ? {} : { promisc: found.isPromiscuous === true }),
    ...(allMulticast === undefined ? {} : { allmulti: found.isAllMulticast === true }),
    ...(txQueueLength === undefined || found.txQueueLength === undefined
      ? {}
      : { txQLen: found.txQueueLength }),
  };
}

/** The settings of a link, as configurations and what is kept say them. */
function readLink(from: JsonObject): TuningConfig['link'] {
  const [mac, mtu, txQueueLength] = [
    field.string(from, 'mac'),
    field.number(from, 'mtu'),
    field.number(from, 'txQLen'),
  ];
  const [promiscuous, allMulticast] = [field.boolean(from, 'promisc'), field.boolean(from, 'allmulti')];
  return {
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(promiscuous === undefined ? {} : { promiscuous }),
    ...(allMulticast === undefined ? {} : { allMulticast }),
    ...(txQueueLength === undefined ? {} : { txQueueLength }),
  };
}

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
function parseTuning(given: PluginConfig, args?: Readonly<Record<string, string>>): TuningConfig {
  const { sysctl: _, mac: asked, ...more } = argsIn(given);
  const config = { ...given, ...more };
  const runtime = asked === undefined ? field.object(given, 'runtimeConfig') : { mac: asked };
  const { mac, mtu } = parseLinkConfig({ ...config, runtimeConfig: runtime ?? {} }, args);
  const sysctls = Object.entries(sysctlsIn(given)).map(([name, value]) => {
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
  const { promiscuous, allMulticast, txQueueLength } = readLink(config);
  return {
    sysctls,
    dataDir: field.string(config, 'dataDir') || dataDirDefault,
    link: {
      ...(mac === undefined ? {} : { mac }),
      ...(mtu === undefined ? {} : { mtu }),
      ...(promiscuous === true ? { promiscuous } : {}),
      ...(allMulticast === undefined ? {} : { allMulticast }),
      ...(txQueueLength === undefined ? {} : { txQueueLength }),
    },
  };
}
