import {
  cidrContains,
  familyOfIp,
  firstOf,
  formatIp,
  hostCidr,
  parseIp,
  parseLegacyCidr,
  type Cidr,
} from '#base/ip.ts';

/** A network by its first address. */
export interface Network {
  readonly address: string;
  readonly prefixLength: number;
}

/**
 * Who may reach a Service's load balancer addresses; undefined: anybody. Ranges of the addresses' family count, and blanks
 * around one are forgiven, as validation does. Without addresses there is nothing to limit.
 *
 * A node that is itself in a range may use the addresses too: where they are local addresses of the node, its packets to
 * one have that one as their source. (kube-proxy: allowFromNode) Pure.
 */
export function planAllowedSources(
  ranges: readonly string[],
  vips: readonly string[],
  nodeIps: readonly string[],
): readonly Network[] | undefined {
  const family = familyOfIp(vips[0] ?? '') ?? 4;
  const cidrs = ranges
    .flatMap((range) => parseLegacyCidr(range.trim()) ?? [])
    .filter(({ ip }) => ip.family === family);
  if (vips.length === 0 || cidrs.length === 0 || cidrs.some(({ prefix }) => prefix === 0)) return undefined;
  const isNodeAllowed = nodeIps
    .flatMap((text) => parseIp(text) ?? [])
    .some((ip) => cidrs.some((cidr) => cidrContains(cidr, ip)));
  const own = isNodeAllowed ? vips.flatMap((text) => parseIp(text) ?? []) : [];
  const all: readonly Cidr[] = [...cidrs, ...own.map(hostCidr)];
  // Two ranges may be the same network: 10.0.0.1/8 and 10.0.0.0/8.
  const networks = new Map(
    all.map(networkOf).map((network) => [`${network.address}/${network.prefixLength}`, network]),
  );
  return [...networks.values()];
}

function networkOf(cidr: Cidr): Network {
  return { address: formatIp(firstOf(cidr)), prefixLength: cidr.prefix };
}
