import { at, listOf, objectOf, objectsOf, stringOf, withPath } from './json.ts';
import type { JsonObject } from './object.ts';

/**
 * What was allocated to a Service stays its own when an update leaves it out (kubectl apply and replace do): cluster
 * addresses, node ports of ports that are still there, the health check port. (registry/core/service patchAllocatedValues)
 */
export function keepServiceAllocations(old: JsonObject, service: JsonObject): JsonObject {
  const before = objectOf(old['spec']);
  let spec = objectOf(service['spec']);
  if (needsClusterIp(before) && needsClusterIp(spec)) spec = keepClusterIps(before, spec);
  if (needsNodePorts(before) && needsNodePorts(spec)) spec = keepNodePorts(before, spec);
  if (spec['externalTrafficPolicy'] === 'Local' && spec['type'] === 'LoadBalancer') {
    spec = withDefault(spec, 'healthCheckNodePort', before['healthCheckNodePort']);
  }
  return withPath(service, 'spec', spec);
}

function needsClusterIp(spec: JsonObject): boolean {
  return spec['type'] !== 'ExternalName';
}

function needsNodePorts(spec: JsonObject): boolean {
  return spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer';
}

function keepClusterIps(before: JsonObject, spec: JsonObject): JsonObject {
  const first = stringOf(listOf(spec['clusterIPs'])[0]);
  const given = stringOf(spec['clusterIP']) || first;
  const kept = given === '' ? before['clusterIP'] : given;
  const isSame = kept === before['clusterIP'];
  const withIp = withDefault(
    { ...spec, clusterIP: kept },
    'clusterIPs',
    isSame ? before['clusterIPs'] : [kept],
  );
  return ['ipFamilies', 'ipFamilyPolicy'].reduce(
    (next, field) => withDefault(next, field, before[field]),
    withIp,
  );
}

function keepNodePorts(before: JsonObject, spec: JsonObject): JsonObject {
  const taken = new Set(objectsOf(spec['ports']).map((port) => port['nodePort']));
  const oldPorts = objectsOf(before['ports']);
  const ports = objectsOf(spec['ports']).map((port) => {
    if (port['nodePort'] !== undefined) return port;
    const same = oldPorts.find((old) => old['port'] === port['port'] && old['protocol'] === port['protocol']);
    const nodePort = same?.['nodePort'];
    return nodePort === undefined || taken.has(nodePort) ? port : { ...port, nodePort };
  });
  return at(spec, 'ports') === undefined ? spec : { ...spec, ports };
}

function withDefault(spec: JsonObject, field: string, value: unknown): JsonObject {
  const current = spec[field];
  const isUnset = current === undefined || current === '' || (Array.isArray(current) && current.length === 0);
  return isUnset && value !== undefined ? { ...spec, [field]: value } : spec;
}
