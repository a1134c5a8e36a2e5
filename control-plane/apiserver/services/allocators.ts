import assert from 'node:assert/strict';
import { invalidField } from '#api/field-error.ts';
import { at, objectsOf, stringOf } from '#api/json.ts';
import type { Kind } from '#api/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/object.ts';
import { serviceClaims, type ServiceClaims } from '#api/service-allocation.ts';
import { internalError, invalid } from '#api/status.ts';
import { formatIp, indexOfIp, nthIp, parseIp, sizeOf, type Cidr } from '#base/ip.ts';
import { NumberPool, parseServiceNetwork } from './address-pool.ts';

/** An object with what was allocated for it; `release` gives back what this write took and did not come to keep. */
export interface Allocation {
  readonly object: JsonObject;
  readonly release: () => void;
}

const nodePortFirst = 30_000;
const nodePortLast = 32_767;
/** Addresses at the start of the network that are kept for Services that ask for one by name (KEP-3070). */
const reservedAddressesMax = 256;
const nothing = (): void => {};
const noClaims: ServiceClaims = { clusterIps: [], nodePorts: [] };

/**
 * Cluster addresses and node ports of Services. Held in memory, taken before the Service is written and rebuilt from the store
 * at start: no two Services ever hold the same.
 */
export class ServiceAllocators {
  /** Addresses by their number in the network. */
  readonly #addresses: NumberPool;
  readonly #ports = new NumberPool({ first: nodePortFirst, size: nodePortLast - nodePortFirst + 1 });
  readonly #network: Cidr;
  /** As it was given, for who is told. */
  readonly #cidr: string;

  /** @throws E_INVALID for a network that is none */
  constructor(serviceCidr: string) {
    this.#network = parseServiceNetwork(serviceCidr);
    const size = sizeOf(this.#network);
    const reserved = Math.min(Math.max(16, Math.floor(size / 16)), reservedAddressesMax);
    // The first is the network's own, the last its broadcast: neither is a host's.
    this.#addresses = new NumberPool({ first: 1, size: size - 2, reserved });
    this.#cidr = serviceCidr;
  }

  /** The address of the kubernetes Service: the first of the network. */
  firstAddress(): string {
    return this.#addressOf(1);
  }

  /** Marks what a stored Service holds. */
  restore(service: JsonObject): void {
    const claims = serviceClaims(service);
    for (const ip of claims.clusterIps) this.#addresses.take(this.#numberOf(ip) ?? 0);
    for (const port of claims.nodePorts) this.#ports.take(port);
  }

  /** Takes what the Service claims and gives it what it needs. `old` is the Service before an update. */
  allocate(kind: Kind, object: JsonObject, old?: JsonObject): Allocation {
    const { allocation } = rulesOf(kind);
    if (allocation === undefined) return { object, release: nothing };
    const held = old === undefined ? noClaims : allocation.claims(old);
    const errors = allocation.errors(object);
    if (errors.length > 0) throw invalid(kind, stringOf(at(object, 'metadata.name')), errors);
    const taken: (() => void)[] = [];
    const release = (): void => taken.splice(0).forEach((undo) => undo());
    try {
      this.#takeClaims(kind, object, held, taken);
      const needs = allocation.needs(object);
      const clusterIp = needs.clusterIp ? this.#takeAddress(taken) : undefined;
      const nodePorts = new Map(needs.nodePorts.map((index) => [index, this.#takePort(taken)]));
      const given = {
        ...(clusterIp === undefined ? {} : { clusterIp }),
        ...(needs.healthCheckPort ? { healthCheckPort: this.#takePort(taken) } : {}),
        nodePorts,
      };
      return { object: allocation.give(object, given), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Gives back what a removed Service held. */
  release(kind: Kind, object: JsonObject): void {
    const claims = rulesOf(kind).allocation?.claims(object) ?? noClaims;
    for (const ip of claims.clusterIps) this.#addresses.release(this.#numberOf(ip) ?? 0);
    for (const port of claims.nodePorts) this.#ports.release(port);
  }

  /** Gives back what an updated Service no longer holds. */
  releaseChanged(kind: Kind, old: JsonObject, object: JsonObject): void {
    const { allocation } = rulesOf(kind);
    if (allocation === undefined) return;
    const [before, after] = [allocation.claims(old), allocation.claims(object)];
    for (const ip of before.clusterIps) {
      if (!after.clusterIps.includes(ip)) this.#addresses.release(this.#numberOf(ip) ?? 0);
    }
    for (const port of before.nodePorts) if (!after.nodePorts.includes(port)) this.#ports.release(port);
  }

  #takeClaims(kind: Kind, object: JsonObject, held: ServiceClaims, taken: (() => void)[]): void {
    const name = stringOf(at(object, 'metadata.name'));
    const claims = serviceClaims(object);
    const refuse = (field: string, value: unknown, detail: string): never => {
      throw invalid(kind, name, [invalidField(field, value, detail)]);
    };
    for (const ip of claims.clusterIps.filter((claimed) => !held.clusterIps.includes(claimed))) {
      const value = this.#numberOf(ip);
      if (value === undefined || !this.#addresses.contains(value)) {
        refuse(
          'spec.clusterIPs',
          [ip],
          `failed to allocate IP ${ip}: the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${this.#cidr}`,
        );
      } else if (this.#addresses.take(value)) {
        taken.push(() => this.#addresses.release(value));
      } else {
        refuse('spec.clusterIPs', [ip], `failed to allocate IP ${ip}: provided IP is already allocated`);
      }
    }
    // Two ports of one Service may share a number under different protocols.
    const seen = new Set(held.nodePorts);
    const takePort = (field: string, port: unknown): void => {
      if (typeof port !== 'number' || port === 0 || seen.has(port)) return;
      seen.add(port);
      if (!this.#ports.contains(port)) {
        refuse(
          field,
          port,
          `provided port is not in the valid range. The range of valid ports is ${nodePortFirst}-${nodePortLast}`,
        );
      }
      if (this.#ports.take(port)) taken.push(() => this.#ports.release(port));
      else refuse(field, port, 'provided port is already allocated');
    };
    objectsOf(at(object, 'spec.ports')).forEach(({ nodePort }, index) =>
      takePort(`spec.ports[${index}].nodePort`, nodePort),
    );
    takePort('spec.healthCheckNodePort', at(object, 'spec.healthCheckNodePort'));
  }

  #takeAddress(taken: (() => void)[]): string {
    const value = this.#addresses.takeAny();
    if (value === undefined) throw internalError('failed to allocate a serviceIP: range is full');
    taken.push(() => this.#addresses.release(value));
    return this.#addressOf(value);
  }

  /** undefined: none of the network's. */
  #numberOf(address: string): number | undefined {
    const ip = parseIp(address);
    return ip && indexOfIp(this.#network, ip);
  }

  #addressOf(index: number): string {
    const ip = nthIp(this.#network, index);
    assert(ip !== undefined);
    return formatIp(ip);
  }

  #takePort(taken: (() => void)[]): number {
    const value = this.#ports.takeAny();
    if (value === undefined) throw internalError('failed to allocate a nodePort: range is full');
    taken.push(() => this.#ports.release(value));
    return value;
  }
}
