import { PodwrightError } from '#base/errors.ts';

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

/** An IPv4 network, as numbers: 10.96.0.0/16. */
export interface Ipv4Network {
  readonly base: number;
  readonly size: number;
}

/** @throws E_INVALID */
export function parseIpv4Network(text: string): Ipv4Network {
  const [address = '', length = ''] = text.split('/');
  const base = parseIpv4(address);
  const bits = Number(length);
  if (base === undefined || !/^\d+$/.test(length) || bits < 8 || bits > 30) {
    throw new PodwrightError(
      'E_INVALID',
      `read service network ${JSON.stringify(text)}: expected IPv4 CIDR like 10.96.0.0/16`,
    );
  }
  const size = 2 ** (32 - bits);
  return { base: Math.floor(base / size) * size, size };
}

export function parseIpv4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
