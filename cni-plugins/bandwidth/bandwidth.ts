import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ownNetns, type LinkInfo, type NetOp, type TokenBucket } from '#native/netlink/netlink.ts';
import { createChainedPlugin, type ChainedInput } from '#cni-plugins/skel/chained-plugin.ts';
import { refuseFields } from '#cni-plugins/skel/link-config.ts';
import { digestOf, type LinkRequest } from '#cni-plugins/skel/link-plan.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface BandwidthConfig {
  readonly network: string;
  /** What the container gets, and what it sends. */
  readonly ingress: TokenBucket | undefined;
  readonly egress: TokenBucket | undefined;
}

/** What waits longer than this is dropped. */
const latencySeconds = 0.025;

/** Bounds what goes through the container's pair of links, on the host's end, which the container cannot change. */
export const bandwidth: CniPlugin = createChainedPlugin<BandwidthConfig>({
  name: 'bandwidth',
  parse: parseBandwidth,
  plan: planBandwidth,
  isIdle: ({ ingress, egress }) => ingress === undefined && egress === undefined,
  planDel: ({ config, request }) => [
    { netns: ownNetns, ops: [{ op: 'removeLink', name: ifbName(config, request) }] },
  ],
  compare: (input) => {
    const { config, request, host } = input;
    const name = ifbName(config, request);
    if (findHostEnd(input) === undefined) return [withoutPair(request)];
    return config.egress === undefined || host.links.some((link) => link.name === name)
      ? []
      : [`${name} is missing`];
  },
});

/**
 * A queue has only what leaves: what the container gets leaves by the host's end of the pair, and what it sends is led through an
 * ifb, by which it leaves. Pure.
 */
export function planBandwidth(input: ChainedInput<BandwidthConfig>): {
  readonly changes: readonly { readonly netns: typeof ownNetns; readonly ops: readonly NetOp[] }[];
  readonly result: ChainedInput<BandwidthConfig>['previous'];
} {
  const { config, request, previous } = input;
  const { ingress, egress } = config;
  const { name, mtu } = hostEndOf(input);
  const ifb = ifbName(config, request);
  const ops: readonly NetOp[] = [
    ...(ingress === undefined ? [] : [{ op: 'setQueue', name, queue: ingress } as const]),
    ...(egress === undefined
      ? []
      : ([
          { op: 'removeLink', name: ifb },
          { op: 'addLink', name: ifb, link: { kind: 'ifb' }, mtu },
          { op: 'setLink', name: ifb, up: true },
          { op: 'setQueue', name: ifb, queue: egress },
          { op: 'setQueue', name, queue: { kind: 'ingress' } },
          { op: 'redirectIngress', name, to: ifb },
        ] as const)),
  ];
  const added = egress === undefined ? [] : [{ name: ifb, mtu }];
  return {
    changes: [{ netns: ownNetns, ops }],
    result: { ...previous, interfaces: [...previous.interfaces, ...added] },
  };
}

/** @throws code 7 */
function hostEndOf(input: ChainedInput<BandwidthConfig>): LinkInfo {
  const end = findHostEnd(input);
  if (end !== undefined) return end;
  throw cniError(cniErrorCode.invalidNetworkConfig, `bandwidth: ${withoutPair(input.request)}`);
}

const withoutPair = ({ ifname }: LinkRequest): string =>
  `${ifname} is no end of a pair whose other end prevResult names`;

/** The other end of the container's link. */
function findHostEnd({
  request,
  container,
  host,
  previous,
}: ChainedInput<BandwidthConfig>): LinkInfo | undefined {
  const own = container.links.find(({ name }) => name === request.ifname);
  const names = new Set(previous.interfaces.filter(({ sandbox }) => !sandbox).map(({ name }) => name));
  return host.links.find(
    (link) => link.index === own?.peerIndex && link.kind === 'veth' && names.has(link.name),
  );
}

function ifbName({ network }: BandwidthConfig, { containerId, ifname }: LinkRequest): string {
  return `bwp${digestOf(`${network} ${containerId} ${ifname}`).slice(0, 12)}`;
}

/** Rates are bits a second, bursts bits, as Kubernetes' annotations say them. @throws {E_INVALID} */
function parseBandwidth(config: PluginConfig): BandwidthConfig {
  refuseFields(config, ['unshapedSubnets', 'shapedSubnets']);
  const runtime = field.object(field.object(config, 'runtimeConfig') ?? {}, 'bandwidth');
  const from = runtime ?? config;
  return {
    network: field.string(config, 'name') ?? '',
    ingress: parseBucket(from, 'ingress'),
    egress: parseBucket(from, 'egress'),
  };
}

function parseBucket(from: JsonObject, direction: 'ingress' | 'egress'): TokenBucket | undefined {
  const [rate, burst] = [
    field.number(from, `${direction}Rate`) ?? 0,
    field.number(from, `${direction}Burst`) ?? 0,
  ];
  if (rate === 0 && burst === 0) return undefined;
  const wrong =
    rate <= 0 || burst <= 0
      ? `${direction}Rate and ${direction}Burst are both set or neither`
      : rate > Number.MAX_SAFE_INTEGER || burst / 8 >= 2 ** 32
        ? `${direction}Rate is at most ${Number.MAX_SAFE_INTEGER}, and ${direction}Burst less than 32 Gbit`
        : undefined;
  if (wrong !== undefined) throw cniError(cniErrorCode.invalidNetworkConfig, `bandwidth: ${wrong}`);
  const [rateBytes, burstBytes] = [Math.floor(rate / 8), Math.floor(burst / 8)];
  const limitBytes = Math.min(Math.floor(rateBytes * latencySeconds) + burstBytes, 2 ** 32 - 1);
  return { kind: 'tbf', rateBytes, burstBytes, limitBytes };
}
