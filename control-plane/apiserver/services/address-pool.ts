import { PodwrightError } from '#base/errors.ts';
import { networkOf, parseCidr, type Cidr } from '#base/ip.ts';

/** The numbers from `first` on, looked through in turns. */
export class NumberPool {
  readonly #first: number;
  readonly #size: number;
  #next: number;

  /** Numbers below `reserved` are found only when the rest is used up. */
  constructor(range: { readonly first: number; readonly size: number; readonly reserved?: number }) {
    this.#first = range.first;
    this.#size = range.size;
    this.#next = Math.min(range.reserved ?? 0, range.size - 1);
  }

  contains(value: number): boolean {
    return value >= this.#first && value < this.#first + this.#size;
  }

  /** The next that is free, from the last that was found on: those given back last come last. */
  find(isFree: (value: number) => boolean): number | undefined {
    for (let tried = 0; tried < this.#size; tried++) {
      const value = this.#first + this.#next;
      this.#next = this.#next + 1 >= this.#size ? 0 : this.#next + 1;
      if (isFree(value)) return value;
    }
    return undefined;
  }
}

/** Where Services have their addresses: IPv4, /8 to /30. @throws E_INVALID */
export function parseServiceNetwork(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined || cidr.ip.family !== 4 || cidr.prefix < 8 || cidr.prefix > 30) {
    throw new PodwrightError(
      'E_INVALID',
      `read service network ${JSON.stringify(text)}: expected IPv4 CIDR like 10.96.0.0/16`,
    );
  }
  return networkOf(cidr);
}
