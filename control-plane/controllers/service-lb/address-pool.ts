import { PodwrightError } from '#base/errors.ts';
import {
  firstOf,
  formatIp,
  indexOfIp,
  nthIp,
  parseCidr,
  parseIp,
  sizeOf,
  type Cidr,
  type IpFamily,
} from '#base/ip.ts';

/** The addresses of one family that load balancers get, and which Services have them. */
export class AddressPool {
  readonly cidr: string;
  readonly family: IpFamily;
  readonly #range: Cidr;
  /** Holders of each address that is held: more than one where somebody wrote a status by hand. */
  readonly #holders = new Map<string, Set<string>>();

  /** @throws {E_INVALID} when it is no network */
  constructor(cidr: string) {
    const range = parseCidr(cidr);
    if (range === undefined) throw new PodwrightError('E_INVALID', `read address range ${cidr}: not a CIDR`);
    this.cidr = cidr;
    this.family = range.ip.family;
    this.#range = { ip: firstOf(range), prefix: range.prefix };
  }

  /** The address as it is written here; undefined: it is none of the pool's. */
  own(text: string): string | undefined {
    const ip = parseIp(text);
    return ip !== undefined && ip.family === this.family && indexOfIp(this.#range, ip) !== undefined
      ? formatIp(ip)
      : undefined;
  }

  claim(address: string, holder: string): void {
    this.#holders.set(address, (this.#holders.get(address) ?? new Set()).add(holder));
  }

  release(address: string, holder: string): void {
    const holders = this.#holders.get(address);
    holders?.delete(holder);
    if (holders?.size === 0) this.#holders.delete(address);
  }

  /** Who else has it. */
  othersOf(address: string, holder: string): readonly string[] {
    return [...(this.#holders.get(address) ?? [])].filter((each) => each !== holder);
  }

  /** One that is held by such alone as would share it, the longest held first. */
  firstShared(mayShareWith: (holder: string) => boolean): string | undefined {
    const found = [...this.#holders].find(([, holders]) => [...holders].every(mayShareWith));
    return found?.[0];
  }

  /** The lowest address that nobody has; undefined: there is none. A network's own and its broadcast are left out where it has any others. */
  firstFree(): string | undefined {
    const size = sizeOf(this.#range);
    const [first, last] = size > 2 ? [1, size - 2] : [0, size - 1];
    for (let index = first; index <= last; index++) {
      const ip = nthIp(this.#range, index);
      const text = ip === undefined ? undefined : formatIp(ip);
      if (text !== undefined && !this.#holders.has(text)) return text;
    }
    return undefined;
  }
}
