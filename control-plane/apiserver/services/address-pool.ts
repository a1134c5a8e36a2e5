import { PodwrightError } from '#base/errors.ts';
import { networkOf, parseCidr, type Cidr } from '#base/ip.ts';

/** The numbers from `first` on, each given to at most one holder. */
export class NumberPool {
  readonly #first: number;
  readonly #size: number;
  /** Numbers below this are given only when asked for by name, or when the rest is used up. */
  readonly #reserved: number;
  readonly #taken = new Set<number>();
  #next: number;

  constructor(range: { readonly first: number; readonly size: number; readonly reserved?: number }) {
    this.#first = range.first;
    this.#size = range.size;
    this.#reserved = Math.min(range.reserved ?? 0, range.size - 1);
    this.#next = this.#reserved;
  }

  contains(value: number): boolean {
    return value >= this.#first && value < this.#first + this.#size;
  }

  /** Whether it was free, and is the caller's now. */
  take(value: number): boolean {
    if (this.#taken.has(value)) return false;
    this.#taken.add(value);
    return true;
  }

  /** A free one; those given back last come last. */
  takeAny(): number | undefined {
    for (let tried = 0; tried < this.#size; tried++) {
      const offset = this.#next;
      this.#next = offset + 1 >= this.#size ? 0 : offset + 1;
      if (this.take(this.#first + offset)) return this.#first + offset;
    }
    return undefined;
  }

  release(value: number): void {
    this.#taken.delete(value);
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
