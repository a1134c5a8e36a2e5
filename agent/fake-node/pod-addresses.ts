/** The addresses of the pods of a fake node: of its podCIDRs, one of each. Pure but for what is given. */
import { formatIp, nthIp, parseCidr, sizeOf, type Cidr } from '#base/ip.ts';
import { PodwrightError } from '#base/errors.ts';

/** The network's own, and the gateway that a real node has. */
const firstIndex = 2;
/** Of a range, so many are looked at: a node has at most as many pods. */
const indexMax = 65_536;

export interface PodAddresses {
  /** The node's ranges, when they are known. */
  setRanges(cidrs: readonly string[]): void;
  readonly isReady: boolean;
  /** The pod's, the same each time. @throws E_LIMIT when a range has none left */
  take(uid: string): readonly string[];
  free(uid: string): void;
}

export function createPodAddresses(): PodAddresses {
  let ranges: readonly Cidr[] = [];
  const taken = new Map<number, string>(); // by index in each range
  const given = new Map<string, number>();
  let next = firstIndex;
  const room = (): number => {
    const sizes = ranges.map((range) => sizeOf(range) - (range.ip.family === 4 ? 1 : 0));
    return Math.min(indexMax, ...sizes);
  };
  const choose = (): number => {
    const end = room();
    for (let tries = firstIndex; tries < end; tries++) {
      if (next >= end) next = firstIndex;
      const index = next++;
      if (!taken.has(index)) return index;
    }
    throw new PodwrightError(
      'E_LIMIT',
      `no IP addresses available in range set: ${end - firstIndex} are taken`,
    );
  };
  return {
    setRanges: (cidrs) => {
      ranges = cidrs.flatMap((text) => parseCidr(text) ?? []);
    },
    get isReady() {
      return ranges.length > 0;
    },
    take: (uid) => {
      const index = given.get(uid) ?? choose();
      given.set(uid, index);
      taken.set(index, uid);
      return ranges.flatMap((range) => {
        const ip = nthIp(range, index);
        return ip === undefined ? [] : [formatIp(ip)];
      });
    },
    free: (uid) => {
      const index = given.get(uid);
      given.delete(uid);
      if (index !== undefined) taken.delete(index);
    },
  };
}
