import { PodwrightError } from '#base/errors.ts';
import {
  bitsOf,
  firstOf,
  formatCidr,
  indexOfIp,
  lastOf,
  nthSubnet,
  parseCidr,
  type Cidr,
  type IpFamily,
} from '#base/ip.ts';

export type NodePrefixLengths = Readonly<Record<IpFamily, number>>;

/** As kube-controller-manager's --node-cidr-mask-size-ipv4 and -ipv6: 254 pods; as many as a host has addresses. */
export const nodePrefixDefaults: NodePrefixLengths = { 4: 24, 6: 64 };

/** Bits by which a node's prefix may be longer than the cluster's: 65,536 ranges. As kube-controller-manager's clusterSubnetMaxDiff. */
export const nodePrefixBitsMax = 16;

/** The longest prefix of a node's part: with a gateway and a pod. */
const nodePrefixMax: Readonly<Record<IpFamily, number>> = { 4: 30, 6: 126 };

/**
 * The ranges that a cluster's pod addresses are divided into, and how many nodes claim each. A node that brings its own range
 * claims all that it overlaps; what lies outside, or is no network, claims nothing.
 */
export class NodeRanges {
  readonly #cluster: Cidr;
  readonly #prefix: number;
  /** Claims of each range: nodes may claim the same. */
  readonly #claims: Uint32Array;
  /** No range before it is free. */
  #firstFree = 0;
  #taken = 0;
  #passed = 0;
  readonly #tell: (change: 'allocated' | 'released') => void;

  /**
   * @param tell hears of each range that is taken, or free again
   * @throws {E_INVALID} when the cluster's is no range, or cannot be divided so.
   */
  constructor(
    clusterCidr: string,
    nodePrefixLength: number,
    tell: (change: 'allocated' | 'released') => void = () => {},
  ) {
    this.#tell = tell;
    const cluster = parseCidr(clusterCidr);
    if (cluster === undefined)
      throw new PodwrightError('E_INVALID', `read address range ${clusterCidr}: not a CIDR`);
    const bits = nodePrefixLength - cluster.prefix;
    if (bits < 0 || bits > nodePrefixBitsMax || nodePrefixLength > nodePrefixMax[cluster.ip.family])
      throw new PodwrightError('E_INVALID', `divide ${clusterCidr} into /${nodePrefixLength}: does not fit`);
    this.#cluster = cluster;
    this.#prefix = nodePrefixLength;
    this.#claims = new Uint32Array(2 ** bits);
  }

  get count(): number {
    return this.#claims.length;
  }

  /** Ranges that somebody claims. */
  get taken(): number {
    return this.#taken;
  }

  /** Ranges that the last search came upon that were taken. */
  get passed(): number {
    return this.#passed;
  }

  claim(cidrs: readonly string[]): void {
    this.#change(cidrs, 1);
  }

  release(cidrs: readonly string[]): void {
    this.#change(cidrs, -1);
  }

  /** The first range that nobody claims; it stays free until it is claimed. Undefined: there is none. */
  firstFree(): string | undefined {
    const index = this.#claims.indexOf(0, this.#firstFree);
    const found = index === -1 ? this.count : index;
    this.#passed = found - this.#firstFree;
    this.#firstFree = found;
    const range = nthSubnet(this.#cluster, this.#prefix, this.#firstFree);
    return range === undefined ? undefined : formatCidr(range);
  }

  #change(cidrs: readonly string[], by: 1 | -1): void {
    for (const { first, last } of cidrs.flatMap((text) => this.#indexesOf(text))) {
      for (let index = first; index <= last; index++) {
        const before = this.#claims[index] ?? 0;
        const claims = before + by;
        this.#claims[index] = claims;
        if ((before === 0) !== (claims === 0)) {
          this.#taken += by;
          this.#tell(by === 1 ? 'allocated' : 'released');
        }
        if (claims === 0 && index < this.#firstFree) this.#firstFree = index;
      }
    }
  }

  #indexesOf(text: string): { readonly first: number; readonly last: number } | [] {
    const cidr = parseCidr(text);
    if (cidr?.ip.family !== this.#cluster.ip.family) return [];
    // One of two networks that overlap contains the other.
    const [from, to] = [firstOf(cidr), lastOf(cidr)].map((ip) =>
      // By the first address of its part, whose number is exact, however large the family.
      indexOfIp(this.#cluster, ip) === undefined
        ? undefined
        : indexOfIp(this.#cluster, firstOf({ ip, prefix: this.#prefix })),
    );
    const isAround = indexOfIp(cidr, firstOf(this.#cluster)) !== undefined;
    const size = 2 ** (bitsOf(this.#cluster.ip.family) - this.#prefix);
    if (from !== undefined && to !== undefined)
      return { first: Math.floor(from / size), last: Math.floor(to / size) };
    return isAround ? { first: 0, last: this.count - 1 } : [];
  }
}
