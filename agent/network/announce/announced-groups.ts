/** Which addresses of load balancers are announced together, and whether this node may (decision 0109). */
import type { Node, Service } from '#api/generated/objects.ts';
import { bytesOfIp, cidrContains, formatIp, parseCidr, parseIp, type Ip } from '#base/ip.ts';
import { asksForLoadBalancer } from '#api/service/load-balancer.ts';
import type { ClusterNetwork } from '#agent/network/cluster-network.ts';
import { isNodeEligible } from '#agent/proxy/health-answers.ts';

export interface AnnouncedGroup {
  /** Name of the Lease whose holder announces. */
  readonly lease: string;
  /** In a stated order: the first is what others ask for to see whether somebody answers. */
  readonly addresses: readonly string[];
  /** Keys of the Services that have them. */
  readonly services: readonly string[];
  /** Packets that come to this node reach a backend. */
  readonly isCandidate: boolean;
}

export interface GroupsInput {
  readonly services: readonly Service[];
  /** Whether the node has an endpoint of the Service that takes packets. */
  readonly hasLocalEndpoint: (key: string) => boolean;
  readonly node: Node | undefined;
  readonly networks: readonly ClusterNetwork[];
}

/** Of all nodes: one holder for what any node leads to a backend. */
const clusterLease = 'podwright-load-balancers';
/** Kubernetes' word for nodes that load balancers leave out (KEP-1143). */
const excludeLabel = 'node.kubernetes.io/exclude-from-external-load-balancers';
/** Of another who forwards what is for the Service. */
const foreignLabel = 'service.kubernetes.io/service-proxy-name';
/** Leases of Services whose traffic stays on its node; those above are not announced, by address. */
export const localGroupsMax = 256;

interface Holders {
  readonly keys: string[];
  /** Some node leads packets to pods of other nodes, too. */
  isCluster: boolean;
}

/** Pure. In order of their names. */
export function computeGroups(input: GroupsInput): readonly AnnouncedGroup[] {
  const holders = holdersOf(input);
  const mayAny = isNodeEligible(input.node) && input.node?.metadata?.labels?.[excludeLabel] === undefined;
  const entries = [...holders].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const shared = entries.filter(([, { isCluster }]) => isCluster);
  const alone = entries.filter(([, { isCluster }]) => !isCluster).slice(0, localGroupsMax);
  return [
    ...(shared.length === 0
      ? []
      : [
          {
            lease: clusterLease,
            addresses: shared.map(([address]) => address),
            services: [...new Set(shared.flatMap(([, { keys }]) => keys))],
            isCandidate: mayAny,
          },
        ]),
    ...alone.map(([address, { keys }]) => ({
      lease: leaseOf(address),
      addresses: [address],
      services: keys,
      isCandidate: mayAny && keys.some(input.hasLocalEndpoint),
    })),
  ];
}

function holdersOf({ services, networks }: GroupsInput): ReadonlyMap<string, Holders> {
  const pools = networks.flatMap(({ loadBalancerCidr }) => parseCidr(loadBalancerCidr ?? '') ?? []);
  const isOurs = (ip: Ip): boolean =>
    pools.some((pool) => pool.ip.family === ip.family && cidrContains(pool, ip));
  const holders = new Map<string, Holders>();
  for (const service of services) {
    const { metadata, spec, status } = service;
    if (!asksForLoadBalancer(service) || metadata?.labels?.[foreignLabel] !== undefined) continue;
    const key = `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
    for (const { ip: text = '', ipMode } of status?.loadBalancer?.ingress ?? []) {
      const ip = parseIp(text);
      // A load balancer of mode Proxy has the address itself (KEP-1860).
      if (ip === undefined || ipMode === 'Proxy' || !isOurs(ip)) continue;
      const known = holders.get(formatIp(ip)) ?? { keys: [], isCluster: false };
      known.keys.push(key);
      known.isCluster ||= spec?.externalTrafficPolicy !== 'Local';
      holders.set(formatIp(ip), known);
    }
  }
  return holders;
}

/** A name that an object may have. */
function leaseOf(address: string): string {
  const ip = parseIp(address);
  const word = ip === undefined || ip.family === 4 ? address : Buffer.from(bytesOfIp(ip)).toString('hex');
  return `${clusterLease}-${word.replaceAll('.', '-')}`;
}
