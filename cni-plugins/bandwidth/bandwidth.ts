import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { parseCidr } from '#base/ip.ts';
import { ownNetns, type LinkInfo, type NetOp, type TokenBucket } from '#native/netlink/netlink.ts';
import { createChainedPlugin, type ChainedInput } from '#cni-plugins/skel/chained-plugin.ts';
import { digestOf, macOf, type LinkRequest } from '#cni-plugins/skel/link-plan.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface BandwidthConfig {
  readonly network: string;
  /** What the container gets, and what it sends. */
  readonly ingress: TokenBucket | undefined;
  readonly egress: TokenBucket | undefined;
  /** Of the others that the container speaks with: these alone are bounded, or all but these. Undefined: all. */
  readonly others: { readonly networks: readonly string[]; readonly areBounded: boolean } | undefined;
}

/** As upstream's plugin numbers them: its CHECK looks for these. */
const classes = { bounded: 0x30, unbounded: 1 } as const;
/** A second: more than any link. */
const unboundedBytes = 100_000_000_000;
/** What waits for a class; an ifb has 32 of its own. */
const packetsMax = 1000;
const networksMax = 256;
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
    const end = findHostEnd(input);
    if (end === undefined) return [withoutPair(request)];
    const wanted = config.others === undefined ? 'tbf' : 'htb';
    const compareQueue = (link: LinkInfo): readonly string[] =>
      link.queue === wanted ? [] : [`${link.name} has no queue ${wanted}`];
    const ifb = host.links.find((link) => link.name === name);
    return [
      ...(config.ingress === undefined ? [] : compareQueue(end)),
      ...(config.egress === undefined ? [] : ifb === undefined ? [`${name} is missing`] : compareQueue(ifb)),
    ];
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
  const mac = macOf(`ifb ${ifb}`);
  const ops: readonly NetOp[] = [
    ...(ingress === undefined ? [] : planQueue(config, name, { bucket: ingress, match: 'source' })),
    ...(egress === undefined
      ? []
      : ([
          { op: 'removeLink', name: ifb },
          { op: 'addLink', name: ifb, link: { kind: 'ifb' }, mtu, mac },
          { op: 'setLink', name: ifb, up: true, txQueueLength: packetsMax },
          ...planQueue(config, ifb, { bucket: egress, match: 'target' }),
          { op: 'setQueue', name, queue: { kind: 'ingress' } },
          { op: 'redirectIngress', name, to: ifb },
        ] satisfies readonly NetOp[])),
  ];
  const added = egress === undefined ? [] : [{ name: ifb, mac, mtu }];
  return {
    changes: [{ netns: ownNetns, ops }],
    result: { ...previous, interfaces: [...previous.interfaces, ...added] },
  };
}

/** A link's queue has one bucket for all, or classes: one for the others that are bounded, one for the rest. Pure. */
function planQueue(
  { others }: BandwidthConfig,
  name: string,
  { bucket, match }: { readonly bucket: TokenBucket; readonly match: 'source' | 'target' },
): readonly NetOp[] {
  if (others === undefined) return [{ op: 'setQueue', name, queue: bucket }];
  const { rateBytes, burstBytes } = bucket;
  const [bounded, rest] = [classes.bounded, classes.unbounded];
  return [
    { op: 'setQueue', name, queue: { kind: 'htb', defaultClass: others.areBounded ? rest : bounded } },
    { op: 'addQueueClass', name, id: bounded, rateBytes, burstBytes },
    { op: 'addQueueClass', name, id: rest, rateBytes: unboundedBytes },
    ...others.networks.map((network): NetOp => ({
      op: 'addQueueFilter',
      name,
      match,
      network,
      to: others.areBounded ? bounded : rest,
    })),
  ];
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
  const runtime = field.object(field.object(config, 'runtimeConfig') ?? {}, 'bandwidth');
  // The configuration of the network comes before what a runtime asks for, as upstream.
  const from = fieldNames.some((name) => config[name] !== undefined) ? config : (runtime ?? config);
  return {
    network: field.string(config, 'name') ?? '',
    ingress: parseBucket(from, 'ingress'),
    egress: parseBucket(from, 'egress'),
    others: parseOthers(from),
  };
}

const fieldNames = [
  ...['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst'],
  ...['shapedSubnets', 'unshapedSubnets'],
];

function parseOthers(from: JsonObject): BandwidthConfig['others'] {
  const [shaped, unshaped] = [field.strings(from, 'shapedSubnets'), field.strings(from, 'unshapedSubnets')];
  const networks = [...shaped, ...unshaped];
  const unknown = networks.find((text) => parseCidr(text) === undefined);
  const wrong =
    shaped.length > 0 && unshaped.length > 0
      ? 'shapedSubnets and unshapedSubnets exclude each other'
      : unknown !== undefined
        ? `subnet ${JSON.stringify(unknown)} is not a CIDR`
        : networks.length > networksMax
          ? `there are more than ${networksMax} subnets`
          : undefined;
  if (wrong !== undefined) throw cniError(cniErrorCode.invalidNetworkConfig, `bandwidth: ${wrong}`);
  return networks.length === 0 ? undefined : { networks, areBounded: shaped.length > 0 };
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
