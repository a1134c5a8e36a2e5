import { PodwrightError } from '#base/errors.ts';
import { cidrsOverlap, formatCidr, nthSubnet, parseCidr, type Cidr } from '#base/ip.ts';

/** The first range of `nodePrefixLength` in the cluster's that overlaps none in use; undefined when all are taken. */
export function allocatePodCidr(
  clusterCidr: string,
  nodePrefixLength: number,
  used: readonly string[],
): string | undefined {
  const cluster = parseIpv4Cidr(clusterCidr);
  if (nodePrefixLength < cluster.prefix || nodePrefixLength > 30) {
    throw new PodwrightError('E_INVALID', `divide ${clusterCidr} into /${nodePrefixLength}: does not fit`);
  }
  // Who may make a Node may claim anything for it: what is no network, or of the other family, takes nothing of this one.
  const taken = used.flatMap((text) => parseCidr(text) ?? []);
  for (let index = 0; ; index++) {
    const part = nthSubnet(cluster, nodePrefixLength, index);
    if (part === undefined) return undefined;
    if (!taken.some((other) => cidrsOverlap(part, other))) return formatCidr(part);
  }
}

/** @throws {E_INVALID} when it is no IPv4 range. */
function parseIpv4Cidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr?.ip.family === 4) return cidr;
  throw new PodwrightError('E_INVALID', `read address range ${text}: not an IPv4 CIDR`);
}
