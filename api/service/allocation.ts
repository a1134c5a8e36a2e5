import { at, listOf, numberOf, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { familiesToServe, type ServiceFamily } from './families.ts';

/** What a Service still lacks and an allocator has to give: an address of each of the families, ports. */
export interface ServiceNeeds {
  readonly clusterIps: readonly ServiceFamily[];
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

/** What a Service was given: addresses, node ports by index into spec.ports, the port of its health checks. */
export interface ServiceGifts {
  readonly clusterIps?: readonly string[];
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
    clusterIps: familiesToServe(spec),
    nodePorts: wantsNodePorts
      ? objectsOf(spec['ports']).flatMap((port, index) => (lacksNodePort(port) ? [index] : []))
      : [],
    healthCheckPort: needsHealthCheckPort(spec) && numberOf(spec['healthCheckNodePort']) === 0,
  };
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

/** The Service, whose families are settled, with what was allocated. */
export function withServiceAllocation(service: JsonObject, given: ServiceGifts): JsonObject {
  const spec = objectOf(service['spec']);
  if (spec['type'] === 'ExternalName') return service;
  const clusterIPs = [...listOf(spec['clusterIPs']), ...(given.clusterIps ?? [])];
  const ports = objectsOf(spec['ports']).map((port, index) => {
    const nodePort = given.nodePorts?.get(index);
    return nodePort === undefined ? port : { ...port, nodePort };
  });
  return withPath(service, 'spec', {
    ...spec,
    ...(at(spec, 'ports') === undefined ? {} : { ports }),
    ...(clusterIPs.length === 0 ? {} : { clusterIP: clusterIPs[0], clusterIPs }),
    ...(given.healthCheckPort === undefined ? {} : { healthCheckNodePort: given.healthCheckPort }),
  });
}
