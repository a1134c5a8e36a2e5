import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServiceClaims } from '#api/service/allocation.ts';
import { internalError, invalid } from '#api/errors/status.ts';
import type { ServiceFamily } from '#api/service/families.ts';
import { ipFamilyNames } from '#api/service/cluster-addresses.ts';
import { formatCidr, parseIp, type Cidr, type IpFamily } from '#base/ip.ts';
import { NumberPool, parseServiceNetworks, ServiceRange } from './address-pool.ts';
import { addressObjectKey } from './address-objects.ts';
import { addressKey, portKey, type IsClaimed } from './claims.ts';

const nodePortFirst = 30_000;
const nodePortLast = 32_767;
/** At the start of the range, kept for Services that ask for one by number (KEP-3668: a 32nd of the range). */
const nodePortsReserved = 86;
const noClaims: ServiceClaims = { clusterIps: [], nodePorts: [] };

/**
 * Chooses cluster addresses and node ports for Services, and refuses what is held by others. Who holds what is in the store (claims.ts):
 * only where to look next is kept here.
 */
export class ServiceAllocators {
  readonly #own: readonly ServiceRange[];
  /** Of ServiceCIDRs that were added (KEP-1880). */
  #added: readonly ServiceRange[] = [];
  readonly #ports = new NumberPool({
    first: nodePortFirst,
    size: nodePortLast - nodePortFirst + 1,
    reserved: nodePortsReserved,
  });
  /** The server's own networks as they were given, the default family's first. */
  readonly cidrs: readonly string[];

  /** @throws E_INVALID for networks that are none */
  constructor(serviceCidrs: readonly string[]) {
    this.#own = parseServiceNetworks(serviceCidrs).map((network) => new ServiceRange(network));
    this.cidrs = serviceCidrs;
  }

  /** What Services may have addresses of, the default first. */
  get families(): readonly IpFamily[] {
    return this.#own.map(({ network }) => network.ip.family);
  }

  /** The address of the kubernetes Service: the first of the first network. */
  firstAddress(): string {
    return this.#own[0]?.addressOf(1) ?? '';
  }

  /** Networks beside the server's own; a range that stays keeps its place. */
  setAdded(networks: readonly Cidr[]): void {
    const known = new Map(this.#added.map((range) => [formatCidr(range.network), range]));
    this.#added = networks.map((network) => known.get(formatCidr(network)) ?? new ServiceRange(network));
  }

  /** The object with what it needs, of what nobody holds. `old` is the object before an update. @throws {E_API} 422, 500 */
  allocate(kind: Kind, given: JsonObject, isClaimed: IsClaimed, old?: JsonObject): JsonObject {
    const { allocation } = rulesOf(kind);
    if (allocation === undefined) return given;
    const name = stringOf(at(given, 'metadata.name'));
    const settled = allocation.settle(given, old, this.families);
    if (settled.errors.length > 0) throw invalid(kind, name, settled.errors);
    const object = settled.service;
    const held = old === undefined ? noClaims : allocation.claims(old);
    const fault = this.#faultOf(object, allocation.claims(object), { held, isClaimed });
    if (fault !== undefined) throw invalid(kind, name, [fault]);
    const chosen = new Set<number>(allocation.claims(object).nodePorts);
    const takePort = (): number => {
      const port = this.#ports.find((each) => !chosen.has(each) && !isClaimed(portKey(each)));
      if (port === undefined) throw internalError('failed to allocate a nodePort: range is full');
      chosen.add(port);
      return port;
    };
    const needs = allocation.needs(object);
    const isWhole = needs.clusterIps.length + needs.nodePorts.length === 0 && !needs.healthCheckPort;
    // Whoever asks again sees by its identity that nothing was added.
    if (isWhole) return equalJson(object, given) ? given : allocation.give(object, {});
    return allocation.give(object, {
      clusterIps: needs.clusterIps.map((family) => this.#findAddress(family, isClaimed)),
      nodePorts: giveNodePorts(objectsOf(at(object, 'spec.ports')), needs.nodePorts, {
        takePort,
        isNew: old === undefined,
      }),
      ...(needs.healthCheckPort ? { healthCheckPort: takePort() } : {}),
    });
  }

  /** What is wrong with the addresses and ports that the object names itself. */
  #faultOf(
    object: JsonObject,
    claims: ServiceClaims,
    { held, isClaimed }: { readonly held: ServiceClaims; readonly isClaimed: IsClaimed },
  ): FieldError | undefined {
    for (const ip of claims.clusterIps.filter((claimed) => !held.clusterIps.includes(claimed))) {
      const fault = (cause: string): FieldError =>
        invalidField('spec.clusterIPs', [ip], `failed to allocate IP ${ip}: ${cause}`);
      if (!this.#isOurs(ip)) return fault('the provided network does not match the current range');
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

  #findAddress(family: ServiceFamily, isClaimed: IsClaimed): string {
    const ranges = [...this.#own, ...this.#added].filter(
      ({ network }) => ipFamilyNames[network.ip.family] === family,
    );
    for (const range of ranges) {
      const address = range.find((each) => !isHeld(each, isClaimed));
      if (address !== undefined) return address;
    }
    throw internalError('failed to allocate a serviceIP: range is full');
  }

  #isOurs(address: string): boolean {
    const ip = parseIp(address);
    return ip !== undefined && [...this.#own, ...this.#added].some((range) => range.contains(ip));
  }
}

/** By an object of ours, or by an IPAddress that somebody made. */
function isHeld(ip: string, isClaimed: IsClaimed): boolean {
  return isClaimed(addressKey(ip)) || isClaimed(addressObjectKey(ip));
}

/**
 * A new Service is reached by one node port for both protocols of a port (DNS, HTTP/3), by the one that a client named for either of them; on
 * update each port gets one of its own, as kube-apiserver.
 */
function giveNodePorts(
  ports: readonly JsonObject[],
  lacking: readonly number[],
  { takePort, isNew }: { readonly takePort: () => number; readonly isNew: boolean },
): ReadonlyMap<number, number> {
  const given = new Map<number, number>();
  const nodePortOf = (index: number): number => given.get(index) ?? numberOf(ports[index]?.['nodePort']);
  const protocolOf = (port: JsonObject | undefined): string => stringOf(port?.['protocol']) || 'TCP';
  const isShareable = (nodePort: number, protocol: string): boolean =>
    nodePort !== 0 && !ports.some((port, i) => nodePortOf(i) === nodePort && protocolOf(port) === protocol);
  for (const index of lacking) {
    const port = ports[index];
    const shared = ports
      .flatMap((each, i) => (each['port'] === port?.['port'] ? [nodePortOf(i)] : []))
      .find((nodePort) => isShareable(nodePort, protocolOf(port)));
    given.set(index, isNew && shared !== undefined ? shared : takePort());
  }
  return given;
}
