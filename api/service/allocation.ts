import { familyOfIp } from '#base/ip.ts';
import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, listOf, numberOf, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** What a Service still lacks and an allocator has to give. */
export interface ServiceNeeds {
  readonly clusterIp: boolean;
  /** Indexes into spec.ports. */
  readonly nodePorts: readonly number[];
  readonly healthCheckPort: boolean;
}

/** What a Service claims for itself: to be reserved on create, and released on delete. */
export interface ServiceClaims {
  readonly clusterIps: readonly string[];
  /** Of its ports, and its health check port: all are of one range. */
  readonly nodePorts: readonly number[];
}

/** What a Service was given: an address, node ports by index into spec.ports, the port of its health checks. */
export interface ServiceGifts {
  readonly clusterIp?: string;
  readonly nodePorts?: ReadonlyMap<number, number>;
  readonly healthCheckPort?: number;
}

/** Whether load balancers ask each node if it has endpoints of the Service. */
export function needsHealthCheckPort(spec: JsonObject): boolean {
  return spec['externalTrafficPolicy'] === 'Local' && spec['type'] === 'LoadBalancer';
}

/** What the allocator has to give to the Service. */
export function serviceNeeds(service: JsonObject): ServiceNeeds {
  const spec = objectOf(service['spec']);
  const wantsNodePorts =
    spec['type'] === 'NodePort' ||
    (spec['type'] === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false);
  const lacksNodePort = (port: JsonObject): boolean =>
    port['nodePort'] === undefined || port['nodePort'] === 0;
  return {
    clusterIp: spec['type'] !== 'ExternalName' && stringOf(spec['clusterIP']) === '',
    nodePorts: wantsNodePorts
      ? objectsOf(spec['ports']).flatMap((port, index) => (lacksNodePort(port) ? [index] : []))
      : [],
    healthCheckPort: needsHealthCheckPort(spec) && numberOf(spec['healthCheckNodePort']) === 0,
  };
}

/**
 * Complaints about address families that this cluster does not have: it has IPv4. A headless Service whose endpoints somebody
 * else writes may have any. (registry/core/service initIPFamilyFields)
 */
export function familyErrors(service: JsonObject): readonly FieldError[] {
  const spec = objectOf(service['spec']);
  const hasSelector = Object.keys(objectOf(spec['selector'])).length > 0;
  if (spec['type'] === 'ExternalName' || (spec['clusterIP'] === 'None' && !hasSelector)) return [];
  const policy = spec['ipFamilyPolicy'];
  return [
    ...(policy === 'RequireDualStack'
      ? [
          invalidField(
            'spec.ipFamilyPolicy',
            policy,
            'this cluster is not configured for dual-stack services',
          ),
        ]
      : []),
    ...listOf(spec['ipFamilies']).flatMap((family, index) =>
      family === 'IPv6'
        ? [invalidField(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster')]
        : [],
    ),
  ];
}

/** What the Service has, to be reserved or released. */
export function serviceClaims(service: JsonObject): ServiceClaims {
  const spec = objectOf(service['spec']);
  const addresses = [spec['clusterIP'], ...listOf(spec['clusterIPs'])].map(stringOf);
  return {
    clusterIps: [...new Set(addresses.filter((ip) => ip !== '' && ip !== 'None'))],
    nodePorts: [...objectsOf(spec['ports']).map(({ nodePort }) => nodePort), spec['healthCheckNodePort']]
      .map(numberOf)
      .filter((port) => port > 0),
  };
}

/** The Service with what was allocated, and clusterIPs, ipFamilies and ipFamilyPolicy that follow from it. */
export function withServiceAllocation(service: JsonObject, given: ServiceGifts): JsonObject {
  const spec = objectOf(service['spec']);
  if (spec['type'] === 'ExternalName') return service;
  const clusterIp = stringOf(spec['clusterIP']) || stringOf(listOf(spec['clusterIPs'])[0]) || given.clusterIp;
  const family = familyOfIp(clusterIp ?? '') === 6 ? 'IPv6' : 'IPv4';
  const ports = objectsOf(spec['ports']).map((port, index) => {
    const nodePort = given.nodePorts?.get(index);
    return nodePort === undefined ? port : { ...port, nodePort };
  });
  return withPath(service, 'spec', {
    ...spec,
    ...(at(spec, 'ports') === undefined ? {} : { ports }),
    ...(clusterIp === undefined ? {} : { clusterIP: clusterIp }),
    ...(given.healthCheckPort === undefined ? {} : { healthCheckNodePort: given.healthCheckPort }),
    clusterIPs:
      listOf(spec['clusterIPs']).length > 0 ? spec['clusterIPs'] : clusterIp === undefined ? [] : [clusterIp],
    ipFamilies: listOf(spec['ipFamilies']).length > 0 ? spec['ipFamilies'] : [family],
    ipFamilyPolicy: spec['ipFamilyPolicy'] ?? 'SingleStack',
  });
}
