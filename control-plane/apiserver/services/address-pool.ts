import assert from 'node:assert/strict';
import { PodwrightError } from '#base/errors.ts';
import {
  formatIp,
  indexOfIp,
  networkOf,
  nthIp,
  parseCidr,
  sizeOf,
  type Cidr,
  type Ip,
  type IpFamily,
} from '#base/ip.ts';

/** The numbers from `first` on, looked through in turns. */
export class NumberPool {
  readonly #first: number;
  readonly #size: number;
  readonly #reserved: number;
  #next: number;

  /** Numbers below `reserved` are found only while all others are taken. */
  constructor(range: { readonly first: number; readonly size: number; readonly reserved?: number }) {
    this.#first = range.first;
    this.#size = range.size;
    this.#reserved = Math.min(range.reserved ?? 0, range.size - 1);
    this.#next = this.#reserved;
  }

  contains(value: number): boolean {
    return value >= this.#first && value < this.#first + this.#size;
  }

  /** The next that is free, from the last that was found on: those given back last come last. */
  find(isFree: (value: number) => boolean): number | undefined {
    for (let tried = this.#reserved; tried < this.#size; tried++) {
      const value = this.#first + this.#next;
      this.#next = this.#next + 1 >= this.#size ? this.#reserved : this.#next + 1;
      if (isFree(value)) return value;
    }
    for (let value = this.#first; value < this.#first + this.#reserved; value++)
      if (isFree(value)) return value;
    return undefined;
  }
}

/** Addresses at the start of a network that are kept for Services that ask for one by name (KEP-3070). */
const reservedAddressesMax = 256;
/** Numbers of a larger network would not be exact; nobody has as many Services. */
const addressesMax = 2 ** 48;

/** A network that Services have addresses of. */
export class ServiceRange {
  readonly network: Cidr;
  readonly #numbers: NumberPool;

  constructor(network: Cidr) {
    this.network = network;
    const size = sizeOf(network);
    const reserved = Math.min(Math.max(16, Math.floor(size / 16)), reservedAddressesMax);
    // The first is the network's own, IPv4's last its broadcast: neither is a host's.
    const usable = size - (network.ip.family === 4 ? 2 : 1);
    this.#numbers = new NumberPool({ first: 1, size: Math.min(usable, addressesMax), reserved });
  }

  /** Whether a Service may have the address. */
  contains(ip: Ip): boolean {
    const index = indexOfIp(this.network, ip);
    return index !== undefined && this.#numbers.contains(index);
  }

  find(isFree: (address: string) => boolean): string | undefined {
    const index = this.#numbers.find((each) => isFree(this.addressOf(each)));
    return index === undefined ? undefined : this.addressOf(index);
  }

  /** The address with that number in the network. */
  addressOf(index: number): string {
    const ip = nthIp(this.network, index);
    assert(ip !== undefined);
    return formatIp(ip);
  }
}

/** Prefixes that a network of Services may have: as kube-apiserver's flag, which wants 20 bits at most; IPv4 may have 24. */
const prefixes: Readonly<Record<IpFamily, readonly [least: number, most: number]>> = {
  4: [8, 30],
  6: [108, 126],
};

/** Where Services have their addresses: one network, or one of each family. @throws E_INVALID */
export function parseServiceNetworks(texts: readonly string[]): readonly Cidr[] {
  const networks = texts.map(parseServiceNetwork);
  if (networks.length > 0 && new Set(networks.map(({ ip }) => ip.family)).size === networks.length)
    return networks;
  throw new PodwrightError(
    'E_INVALID',
    `read service networks ${texts.join(',')}: one of each family at most`,
  );
}

function parseServiceNetwork(text: string): Cidr {
  const cidr = parseCidr(text);
  const [least, most] = prefixes[cidr?.ip.family ?? 4];
  if (cidr === undefined || cidr.prefix < least || cidr.prefix > most) {
    throw new PodwrightError(
      'E_INVALID',
      `read service network ${JSON.stringify(text)}: expected a network like 10.96.0.0/16 or fd00:10:96::/112`,
    );
  }
  return networkOf(cidr);
}
