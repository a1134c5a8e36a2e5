import { familyOfIp, familyOfNetwork, type IpFamily } from '#base/ip.ts';

/** What a cluster has of one address family. */
export interface ClusterNetwork {
  readonly family: IpFamily;
  /** Addresses of all pods. */
  readonly clusterCidr: string;
  /** Addresses of Services. */
  readonly serviceCidr: string;
  /** Addresses that the cluster gives to load balancers, if it does. */
  readonly loadBalancerCidr?: string;
  /** Further networks of Services, of ServiceCIDR objects. */
  readonly addedServiceCidrs?: readonly string[];
}

/** Networks all of whose addresses are Services', or nobody's. Pure. */
export function servedCidrsOf({
  serviceCidr,
  loadBalancerCidr,
  addedServiceCidrs = [],
}: Pick<ClusterNetwork, 'serviceCidr' | 'loadBalancerCidr' | 'addedServiceCidrs'>): readonly string[] {
  const given = loadBalancerCidr === undefined ? [] : [loadBalancerCidr];
  return [serviceCidr, ...given, ...addedServiceCidrs];
}

/** The families of which there are pods and Services, in order of the pods' networks. Pure. */
export function clusterNetworksOf(
  clusterCidrs: readonly string[],
  serviceCidrs: readonly string[],
  loadBalancerCidrs: readonly string[] = [],
): readonly ClusterNetwork[] {
  return clusterCidrs.flatMap((clusterCidr) => {
    const family = familyOfNetwork(clusterCidr);
    const serviceCidr = serviceCidrs.find((each) => familyOfNetwork(each) === family);
    const loadBalancerCidr = loadBalancerCidrs.find((each) => familyOfNetwork(each) === family);
    if (family === undefined || serviceCidr === undefined) return [];
    const own = { family, clusterCidr, serviceCidr };
    return [loadBalancerCidr === undefined ? own : { ...own, loadBalancerCidr }];
  });
}

/** Those addresses of a list that are of the family. */
export function ofFamily(addresses: readonly string[], family: IpFamily): readonly string[] {
  return addresses.filter((address) => familyOfIp(address) === family);
}

/** What nftables calls the family. */
export const nftFamilies: Readonly<Record<IpFamily, 'ip' | 'ip6'>> = { 4: 'ip', 6: 'ip6' };
