/** Networks of Services that ServiceCIDR objects add to those of the options (KEP-1880, decision 0063). */
import type { ServiceCIDR } from '#api/generated/objects.ts';
import {
  cidrContains,
  cidrsOverlap,
  formatCidr,
  knownCidr,
  networkOf,
  parseCidr,
  parseIp,
} from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import type { Informer } from '#client/client.ts';
import type { ClusterNetwork } from './cluster-network.ts';

export interface ServiceNetworks {
  /** The cluster's networks, each with those that were added to it; the same value until they are others. */
  current(): readonly ClusterNetwork[];
  onChange(tell: () => void): Disposable;
}

/** Of a family. Each is a rule or two that a packet to outside is compared with. */
const addedMax = 64;

export interface FollowOptions {
  readonly networks: readonly ClusterNetwork[];
  readonly objects: Informer<ServiceCIDR>;
  readonly nodeIps: readonly string[];
  readonly log: Logger;
}

/** An object that is about to go counts until it is gone: Services may still have addresses of it. */
export function followServiceNetworks(options: FollowOptions): ServiceNetworks & Disposable {
  const { networks, objects, log } = options;
  let current = networks;
  const listeners = new Set<() => void>();
  const watch = objects.onChange(() => {
    const now = addNetworks(options, objects.list());
    for (const refused of now.refused)
      log.warn({ network: refused.cidr, why: refused.why }, 'ServiceCIDR not followed');
    if (JSON.stringify(now.networks) === JSON.stringify(current)) return;
    current = now.networks;
    for (const tell of listeners) tell();
  });
  return {
    current: () => current,
    onChange: (tell) => {
      listeners.add(tell);
      return { [Symbol.dispose]: () => void listeners.delete(tell) };
    },
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}

/** What the objects add, and what of them would take pods' or nodes' own addresses for those of Services. Pure. */
export function addNetworks(
  { networks, nodeIps }: Pick<FollowOptions, 'networks' | 'nodeIps'>,
  objects: readonly ServiceCIDR[],
): {
  readonly networks: readonly ClusterNetwork[];
  readonly refused: readonly { readonly cidr: string; readonly why: string }[];
} {
  const refused: { readonly cidr: string; readonly why: string }[] = [];
  const texts = objects.flatMap(({ spec }) => spec?.cidrs ?? []).toSorted();
  const added = networks.map((network) => {
    const { family, clusterCidr, serviceCidr } = network;
    const own = knownCidr(serviceCidr);
    const found = new Set<string>();
    for (const text of texts) {
      const cidr = parseCidr(text);
      if (cidr?.ip.family !== family) continue;
      const canonical = formatCidr(networkOf(cidr));
      const isWithin = cidr.prefix >= own.prefix && cidrContains(own, cidr.ip);
      if (isWithin || found.has(canonical)) continue;
      const isOfNode = nodeIps.map(parseIp).some((ip) => ip?.family === family && cidrContains(cidr, ip));
      const why = cidrsOverlap(cidr, knownCidr(clusterCidr))
        ? `it overlaps the pods' ${clusterCidr}`
        : isOfNode
          ? 'an address of this node is in it'
          : found.size >= addedMax
            ? `there are ${addedMax} of IPv${family}`
            : undefined;
      if (why === undefined) found.add(canonical);
      else refused.push({ cidr: text, why });
    }
    return found.size === 0 ? network : { ...network, addedServiceCidrs: [...found] };
  });
  return { networks: added, refused };
}
