import { PodwrightError } from '#base/errors.ts';

/** A range of IPv4 addresses. */
export interface Ipv4Range {
  readonly base: number; // unsigned 32 bits
  readonly prefixLength: number;
}

/** The first range of `nodePrefixLength` in the cluster's that overlaps none in use; undefined when all are taken. */
export function allocatePodCidr(
  clusterCidr: string,
  nodePrefixLength: number,
  used: readonly string[],
): string | undefined {
  const cluster = parseIpv4Range(clusterCidr);
  if (nodePrefixLength < cluster.prefixLength || nodePrefixLength > 30) {
    throw new PodwrightError('E_INVALID', `divide ${clusterCidr} into /${nodePrefixLength}: does not fit`);
  }
  const taken = used.map(parseIpv4Range);
  const size = 2 ** (32 - nodePrefixLength);
  const count = 2 ** (nodePrefixLength - cluster.prefixLength);
  for (let index = 0; index < count; index++) {
    const range: Ipv4Range = { base: cluster.base + index * size, prefixLength: nodePrefixLength };
    if (!taken.some((other) => overlaps(range, other))) return formatIpv4Range(range);
  }
  return undefined;
}

/** @throws {E_INVALID} when it is no IPv4 range. */
export function parseIpv4Range(text: string): Ipv4Range {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const [a = 256, b = 256, c = 256, d = 256, prefixLength = 33] = (match ?? []).slice(1).map(Number);
  if ([a, b, c, d].some((byte) => byte > 255) || prefixLength > 32) {
    throw new PodwrightError('E_INVALID', `read address range ${text}: not an IPv4 CIDR`);
  }
  const size = 2 ** (32 - prefixLength);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  return { base: Math.floor(address / size) * size, prefixLength };
}

function formatIpv4Range({ base, prefixLength }: Ipv4Range): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256);
  return `${bytes.join('.')}/${prefixLength}`;
}

function overlaps(a: Ipv4Range, b: Ipv4Range): boolean {
  const end = ({ base, prefixLength }: Ipv4Range): number => base + 2 ** (32 - prefixLength);
  return a.base < end(b) && b.base < end(a);
}
