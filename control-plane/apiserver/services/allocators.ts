import assert from 'node:assert/strict';
import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServiceClaims } from '#api/service/allocation.ts';
import { internalError, invalid } from '#api/errors/status.ts';
import { formatIp, indexOfIp, nthIp, parseIp, sizeOf, type Cidr } from '#base/ip.ts';
import { NumberPool, parseServiceNetwork } from './address-pool.ts';
import { addressObjectKey } from './address-objects.ts';
import { addressKey, portKey, type IsClaimed } from './claims.ts';

const nodePortFirst = 30_000;
const nodePortLast = 32_767;
/** Addresses at the start of the network that are kept for Services that ask for one by name (KEP-3070). */
const reservedAddressesMax = 256;
const noClaims: ServiceClaims = { clusterIps: [], nodePorts: [] };

/**
 * Chooses cluster addresses and node ports for Services, and refuses what is held by others. Who holds what is in the store (claims.ts):
 * only where to look next is kept here.
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

  /** The network, as it was given. */
  get cidr(): string {
    return this.#cidr;
  }

  /** The address of the kubernetes Service: the first of the network. */
  firstAddress(): string {
    return this.#addressOf(1);
  }

  /** The object with what it needs, of what nobody holds. `old` is the object before an update. @throws {E_API} 422, 500 */
  allocate(kind: Kind, object: JsonObject, isClaimed: IsClaimed, old?: JsonObject): JsonObject {
    const { allocation } = rulesOf(kind);
    if (allocation === undefined) return object;
    const name = stringOf(at(object, 'metadata.name'));
    const errors = allocation.errors(object);
    if (errors.length > 0) throw invalid(kind, name, errors);
    const held = old === undefined ? noClaims : allocation.claims(old);
    const fault = this.#faultOf(object, allocation.claims(object), { held, isClaimed });
    if (fault !== undefined) throw invalid(kind, name, [fault]);
    // Two ports of one Service may share a number under different protocols, which a client says; none is given twice.
    const chosen = new Set<number>(allocation.claims(object).nodePorts);
    const takePort = (): number => {
      const port = this.#ports.find((each) => !chosen.has(each) && !isClaimed(portKey(each)));
      if (port === undefined) throw internalError('failed to allocate a nodePort: range is full');
      chosen.add(port);
      return port;
    };
    const needs = allocation.needs(object);
    const given = {
      ...(needs.clusterIp ? { clusterIp: this.#findAddress(isClaimed) } : {}),
      nodePorts: new Map(needs.nodePorts.map((index) => [index, takePort()])),
      ...(needs.healthCheckPort ? { healthCheckPort: takePort() } : {}),
    };
    return allocation.give(object, given);
  }

  /** What is wrong with the addresses and ports that the object names itself. */
  #faultOf(
    object: JsonObject,
    claims: ServiceClaims,
    { held, isClaimed }: { readonly held: ServiceClaims; readonly isClaimed: IsClaimed },
  ): FieldError | undefined {
    for (const ip of claims.clusterIps.filter((claimed) => !held.clusterIps.includes(claimed))) {
      const value = this.#numberOf(ip);
      const fault = (cause: string): FieldError =>
        invalidField('spec.clusterIPs', [ip], `failed to allocate IP ${ip}: ${cause}`);
      if (value === undefined || !this.#addresses.contains(value)) {
        return fault(
          `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${this.#cidr}`,
        );
      }
      if (isHeld(ip, isClaimed)) return fault('provided IP is already allocated');
    }
    const ports = [
      ...objectsOf(at(object, 'spec.ports')).map(
        ({ nodePort }, index) => [`spec.ports[${index}].nodePort`, nodePort] as const,
      ),
      ['spec.healthCheckNodePort', at(object, 'spec.healthCheckNodePort')] as const,
    ];
    for (const [field, port] of ports) {
      if (typeof port !== 'number' || port === 0 || held.nodePorts.includes(port)) continue;
      if (!this.#ports.contains(port)) {
        return invalidField(
          field,
          port,
          `provided port is not in the valid range. The range of valid ports is ${nodePortFirst}-${nodePortLast}`,
        );
      }
      if (isClaimed(portKey(port))) return invalidField(field, port, 'provided port is already allocated');
    }
    return undefined;
  }

  #findAddress(isClaimed: IsClaimed): string {
    const value = this.#addresses.find((each) => !isHeld(this.#addressOf(each), isClaimed));
    if (value === undefined) throw internalError('failed to allocate a serviceIP: range is full');
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
}

/** By an object of ours, or by an IPAddress that somebody made. */
function isHeld(ip: string, isClaimed: IsClaimed): boolean {
  return isClaimed(addressKey(ip)) || isClaimed(addressObjectKey(ip));
}
